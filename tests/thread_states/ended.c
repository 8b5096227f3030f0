/* A program whose Python has come and gone: ended LIBRARY. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
  if (library == NULL) {
    fprintf(stderr, "ended: %s\n", dlerror());
    return 2;
  }
  void (*begin)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
  int (*end)(void) = (int (*)(void))dlsym(library, "Py_FinalizeEx");
  begin(0);
  if (end() != 0 || write(1, "{}\n", 3) != 3) return 2;
  pause();
  return 0;
}
