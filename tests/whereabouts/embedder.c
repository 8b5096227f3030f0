/* A program with Python in it: embedder MODE LIBRARY [python's arguments…].

   local   dlopen with RTLD_LOCAL, then Python's own main
   apart   dlmopen: the library in a link-map namespace of its own
   idle    the library is there and Python is not started: says so, and starts it after a line was read
   second  two copies, of which only the one in the other namespace runs
   both    two copies, and both run: the one of the first namespace holds a lock

   Nothing of Python's headers is needed: what is called takes and gives plain C types. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *loaded(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "embedder: %s\n", dlerror());
    exit(2);
  }
  return found;
}

static void *open_library(Lmid_t where, const char *path) {
  void *library =
      where == LM_ID_BASE ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : dlmopen(where, path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "embedder: %s\n", dlerror());
    exit(2);
  }
  return library;
}

static int run_main(void *library, int argc, char **argv) {
  int (*python_main)(int, char **) = (int (*)(int, char **))loaded(library, "Py_BytesMain");
  return python_main(argc, argv);
}

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) exit(2);
}

static void wait_for_a_line(void) {
  char byte = 0;
  while (read(0, &byte, 1) == 1 && byte != '\n') {
  }
}

/* In the first thread: another namespace's libc is made ready for no other. */
static void start_and_say(void *library) {
  void (*start)(int) = (void (*)(int))loaded(library, "Py_InitializeEx");
  int (*run)(const char *) = (int (*)(const char *))loaded(library, "PyRun_SimpleString");
  start(0);
  run("import os; os.write(2, b'the other runs\\n')");
}

struct main_call {
  void *library;
  int argc;
  char **argv;
  int result;
};

static void *call_main(void *argument) {
  struct main_call *call = argument;
  call->result = run_main(call->library, call->argc, call->argv);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *mode = argv[1];
  const char *path = argv[2];
  argv[2] = argv[0];
  if (strcmp(mode, "local") == 0) return run_main(open_library(LM_ID_BASE, path), argc - 2, argv + 2);
  if (strcmp(mode, "apart") == 0) return run_main(open_library(LM_ID_NEWLM, path), argc - 2, argv + 2);
  if (strcmp(mode, "second") == 0) {
    open_library(LM_ID_BASE, path);
    return run_main(open_library(LM_ID_NEWLM, path), argc - 2, argv + 2);
  }
  if (strcmp(mode, "idle") == 0) {
    void *library = open_library(LM_ID_BASE, path);
    say("idle\n");
    wait_for_a_line();
    return run_main(library, argc - 2, argv + 2);
  }
  if (strcmp(mode, "both") == 0) {
    void *first = open_library(LM_ID_BASE, path);
    void *other = open_library(LM_ID_NEWLM, path);
    start_and_say(other);
    struct main_call call = {first, argc - 2, argv + 2, 2};
    pthread_t thread;
    if (pthread_create(&thread, NULL, call_main, &call) != 0) return 2;
    pthread_join(thread, NULL);
    return call.result;
  }
  return 2;
}
