// What a synchronization object is and what its fields say: locks, threading's and queue's classes, futures,
// pools, import locks, semaphores between processes, buffered streams.
//
// An object is known by its type: a C type by its tp_name, a class of the standard library by its qualified
// name, a subclass by its bases. Lock layouts are chosen by tp_basicsize (lock_layouts.h). Attributes are
// read as they lie in the object; no code runs, so a property is not seen. What can't be read is left out.
// Sources: Modules/_threadmodule.c, Modules/_queuemodule.c, Modules/_multiprocessing/semaphore.c,
// Modules/_io/bufferedio.c, Lib/threading.py, Lib/queue.py, Lib/concurrent/futures, Lib/asyncio/futures.py,
// Lib/importlib/_bootstrap.py at v3.8.0 to v3.15.0.
#pragma once

#include <vector>

#include "attach/address.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Null: it is no synchronization object, or could not be read. Kept for the look.
const PySyncObject* describe_sync_object(Reading& reading, attach::Address object);

// Where nothing but a word is known (a PyMutex of no object, the world's stop): describes itself.
const PySyncObject* add_sync_object(Reading& reading, PySyncObject object);

// PyRuntimeState::sync_objects: all that a thread of `state` refers to, and what these refer to.
void read_sync_objects(Reading& reading, PyRuntimeState& state);

}  // namespace pythreads::pyframes
