/* Runs a program from a memfd: memfd_run PROGRAM [arguments…]. /proc/PID/exe then leads to
   "/memfd:python (deleted)". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int from = open(argv[1], O_RDONLY | O_CLOEXEC);
  int into = memfd_create("python", MFD_CLOEXEC);
  struct stat seen;
  if (from < 0 || into < 0 || fstat(from, &seen) != 0) return 2;
  for (off_t left = seen.st_size; left > 0;) {
    ssize_t sent = sendfile(into, from, NULL, (size_t)left);
    if (sent <= 0) return 2;
    left -= sent;
  }
  fexecve(into, argv + 1, environ);
  return 2;
}
