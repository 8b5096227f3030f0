// The exception that a thread is handling: the topmost entry of PyThreadState.exc_info that has one.
//
// The message is what str() gives as far as `args` tells it without running code: one argument's text, a
// tuple's repr, and what OSError, KeyError, UnicodeError and exception groups make of theirs; a class with a
// __str__ of its own may say something else. Where it was raised is the innermost entry of its traceback.
// Sources: Python/errors.c (_PyErr_GetTopmostException; 3.6: PyErr_GetExcInfo), Objects/exceptions.c,
// Python/traceback.c at v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

void fetch_exceptions(Reading& reading, const RuntimeCopy& copy);

// PyThread::exception.
void read_exceptions(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
