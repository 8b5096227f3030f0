/* Gives DWARF of a build that nobody packages: generate.py compiles it with the headers of a -dev package,
 * with Py_GIL_DISABLED, and reads the structs from the object file. Nothing of it is linked or run.
 * Structs that only CPython's .c files define are missing here; see generate.py's WITHOUT_OBJECT_HEAD. */
#define Py_BUILD_CORE 1
#include "Python.h"

#include "pycore_code.h"
#include "pycore_dict.h"
#include "pycore_frame.h"
#include "pycore_genobject.h"
#include "pycore_gil.h"
#include "pycore_instruments.h"
#include "pycore_interp.h"
#include "pycore_moduleobject.h"
#include "pycore_runtime.h"
#include "pycore_tstate.h"
#if __has_include("pycore_interpframe.h")
#include "pycore_interpframe.h"
#endif

/* Modules/_threadmodule.c: an object head and a pointer. */
typedef struct {
  PyObject_HEAD void* handle;
} PyThreadHandleObject;

_PyRuntimeState* runtime;
PyThreadHandleObject* thread_handle_object;
