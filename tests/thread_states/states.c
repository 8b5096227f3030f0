/* What a C extension may do with thread states: loaded by ctypes into any Python, so nothing of Python's headers
   is needed. `codes` is run where it stands, and blocks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *python(const char *name) {
  void *found = dlsym(RTLD_DEFAULT, name);
  if (found == NULL) {
    fprintf(stderr, "states: %s\n", dlerror());
    _exit(2);
  }
  return found;
}
#define CALL(result, name, ...) ((result(*)(__VA_ARGS__))python(name))

static void run(const char *code) {
  CALL(int, "PyRun_SimpleString", const char *)(code);
}

static void start(void *(*body)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, argument) != 0) _exit(2);
  pthread_detach(thread);
}

/* Into a new interpreter, in the same thread. */
void enter(const char *code) {
  void *outer = CALL(void *, "PyThreadState_Get", void)();
  void *inner = CALL(void *, "Py_NewInterpreter", void)();
  if (inner == NULL) _exit(2);
  run(code);
  CALL(void, "Py_EndInterpreter", void *)(inner);
  CALL(void *, "PyThreadState_Swap", void *)(outer);
}

/* The thread goes on in C without its state, and Python's frames stand below. */
void park(void) {
  void *saved = CALL(void *, "PyEval_SaveThread", void)();
  pause();
  CALL(void, "PyEval_RestoreThread", void *)(saved);
}

static void *ensures(void *code) {
  int state = CALL(int, "PyGILState_Ensure", void)();
  run(code);
  CALL(void, "PyGILState_Release", int)(state);
  return NULL;
}
void ensure(const char *code) {
  start(ensures, (void *)code);
}

/* A state that its thread leaves behind. */
static void *leaves(void *unused) {
  (void)unused;
  CALL(int, "PyGILState_Ensure", void)();
  CALL(void *, "PyEval_SaveThread", void)();
  return NULL;
}
void leave(void) {
  start(leaves, NULL);
}

/* A state that this thread makes and another runs. */
struct moved {
  void *state;
  const char *code;
};
static void *takes(void *argument) {
  struct moved *moved = argument;
  CALL(void, "PyEval_AcquireThread", void *)(moved->state);
  run(moved->code);
  return NULL;
}
void move(const char *code) {
  struct moved *moved = malloc(sizeof *moved);
  void *current = CALL(void *, "PyThreadState_Get", void)();
  void *interpreter = CALL(void *, "PyInterpreterState_Main", void)();
  (void)current;
  moved->state = CALL(void *, "PyThreadState_New", void *)(interpreter);
  moved->code = code;
  start(takes, moved);
}
