// An extension module that does not say it can do without the GIL (no Py_mod_gil): a free-threaded CPython
// switches the GIL on when it is imported, unless PYTHON_GIL=0 forbids it. hold() rests for good and keeps
// what it has.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <unistd.h>

static PyObject* hold(PyObject* self, PyObject* unused) {
  (void)self, (void)unused;
  for (;;) pause();
  return NULL;
}

static PyMethodDef methods[] = {{"hold", hold, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "gil_needed", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_gil_needed(void) {
  return PyModuleDef_Init(&module);
}
