// What suspended generators, coroutines and asyncio tasks keep open, and whose it is: the thread's that
// refers to the generator from one of its frames, or that runs the task's loop. It is the one that can go on
// with it; where several threads refer to one generator, each of them may, and the hold is only likely.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

#include "attach/address.h"
#include "pyframes/lock_managers.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct SuspendedHold {
  std::size_t interpreter = 0, thread = 0;  // indexes into RuntimeCopy
  std::optional<std::size_t> frame;         // the one that refers to it; none: a task
  ManagedLock lock;
  attach::Address generator;  // that it refers to; null: a task
};

// Of the locks in `wanted`. REQUIRES: read_frame_objects has run, which tells the loops.
std::vector<SuspendedHold> suspended_holds(Reading& reading, const RuntimeCopy& copy,
                                           const PyRuntimeState& state,
                                           const std::set<attach::Address>& wanted);

// What a frame that is suspended keeps: its open blocks, and what its handlers release. `depth` as of
// locks_of_manager.
std::vector<ManagedLock> locks_of_suspended(Reading& reading, const FrameCopy& frame, int depth = 0);

}  // namespace pythreads::pyframes
