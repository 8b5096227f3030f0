// Calls that stand after the current place of a thread's own frames and would wake others: `notify`,
// `set`, `put`, `release`. They tell who a waiting thread's notifier might be, and never for certain: whether
// the call would be reached is not known.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// PyThread::pending_calls. The same while held and after. REQUIRES: lock_wait, frame_objects and held of the
// threads.
void read_pending_calls(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
