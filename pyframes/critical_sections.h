// Free-threaded builds: what each thread holds by its critical sections. They are CPython's own record of it,
// a chain from the thread state through the C stack, so an active section is a hold beyond doubt.
//
// A thread that blocks gives the mutexes of all its sections back and marks them inactive; it takes those of
// the innermost again before it goes on. So only the sections up to the first inactive one are held, and one
// whose mutex is being taken has none yet (_cs_mutex is null). Of a section of two mutexes whose second one
// is waited for, the first is locked, and nothing in memory says so.
// Sources: Python/critical_section.c, Include/internal/pycore_critical_section.h, Include/object.h at
// v3.13.0, v3.14.0.
#pragma once

#include "attach/address.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// The mutex of a Python object (PyObject.ob_mutex) as an object_mutex, any other as a pymutex. An
// object_mutex stands at its object's address, but at its own where the object synchronizes by itself (a
// SimpleQueue).
const PySyncObject* describe_mutex(Reading& reading, attach::Address mutex);

// Appends to PyThread::held. The same while held and after. REQUIRES: read_locks, read_held_locks before.
void read_critical_sections(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
