// The threading.Lock or RLock that a blocked thread sleeps on, found by address and verified by address.
//
// The kernel says which futex word a thread sleeps on. Where locks are semaphores that word is the sem_t that
// the lock object points to; the object itself is looked for among what the thread has at hand: the value
// stack and the variables of its innermost frame, then the words of its C stack. Where locks are parked
// (PyMutex) the word lies in a wait_entry on the thread's own stack, which names the mutex inside the object.
// An object counts only if its own pointer or place leads back to the word, so a stale reference is never
// taken for the lock. Nothing found is nothing said.
// An RLock tells its owner's ident; whether that thread still lives is not known here.
// Sources: Python/thread_pthread.h, Python/parking_lot.c, Modules/_threadmodule.c at v3.8.0 to v3.15.0.
#pragma once

#include <vector>

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// The waits that were found, for who looks for their owners.
std::vector<PySyncObject> fetch_locks(Reading& reading, const RuntimeCopy& copy);

// PyThread::lock_wait. REQUIRES: match_os_threads(reading, copy).
void read_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
