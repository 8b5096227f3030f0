// The object that a thread in a futex sleeps on, found by address and verified by address: a Lock or RLock,
// a SimpleQueue, a semaphore between processes, the lock inside a stream or inside any other C object.
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

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// While held: touches the stacks and frames that read_locks searches, for all sleepers at once.
void fetch_locks(Reading& reading, const RuntimeCopy& copy);

// PyThread::lock_wait, and a description of each object (sync_objects.h). The same while held and after.
// REQUIRES: match_os_threads(reading, copy).
void read_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
