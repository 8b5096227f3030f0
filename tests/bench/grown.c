/* A library of which a program may have thousands; who waits here has its frame on the native stack. */
#include <unistd.h>

long grown_wait(int descriptor) {
  char byte;
  return read(descriptor, &byte, 1) + 1;
}
