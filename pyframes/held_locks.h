// What each thread holds by what its own frames say: the open `with` blocks of all its frames, whatever the
// manager is. A plain Lock has no field for its owner, so nothing else tells; where there is a field, a block
// that it contradicts is not believed.
//
// What was given back for a while is not held: the lock of a Condition inside its `wait`. So is what the
// object itself says is not locked.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// While held: touches code objects and frames, for all threads at once.
void fetch_held_locks(Reading& reading, const RuntimeCopy& copy);

// PyThread::held. The same while held and after.
void read_held_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
