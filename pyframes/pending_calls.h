// Calls that a thread may come to and that would wake others, or release what another keeps: `notify`, `set`,
// `put`, `release`. They stand after the current place of the thread's own frames, or a bound method lies in
// one of its variables or in the Timer that it runs. They tell who might end a wait, and never for certain:
// whether the call would be reached is not known. A `release` counts only if no `acquire` of the same lock
// comes before it.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// PyThread::pending_calls; and a hold of a thread that has the lock's `release` at hand inside of its block
// is no more than likely. The same while held and after. REQUIRES: lock_wait, frame_objects and held of the
// threads.
void read_pending_calls(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
