// What a thread's own frames say of the RLocks that others wait for: an open `with` block on one bears out
// its owner field, whose ident alone may name a thread that came later (idents are pthread_self() and are
// used again).
#pragma once

#include <vector>

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// `locks` are those of fetch_locks: only the frames of threads that own one of them are touched.
void fetch_held_locks(Reading& reading, const RuntimeCopy& copy, const std::vector<PySyncObject>& locks);

// PyThread::held, for PyRuntimeState::sync_objects. REQUIRES: read_locks.
void read_held_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
