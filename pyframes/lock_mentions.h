// Who mentions a lock that nobody is seen to hold: frames of the program that have it in a variable or in an
// attribute of `self`. No sign that they hold it, and yet where a person would look first.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// PyThread::mentions. `reading.memory` may be the lasting one. REQUIRES: lock_wait and held of `state`'s
// threads, and its sync_objects.
void read_lock_mentions(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

// Whether the thread sleeps on a lock that threading made for this one wait: in Condition.wait, or for a
// thread's end. Nobody else knows it by any name.
bool waits_on_private_lock(Reading& reading, const ThreadCopy& thread);

}  // namespace pythreads::pyframes
