// What a thread holds at the instant around a `with` block: `__enter__` has taken the lock and the block has
// not begun, or `__exit__` has been called and has given nothing back yet. Threads are met there more often
// than instants are long, for that is where they wait for the GIL: the interpreter looks whether it is wanted
// after each call and at the start of each function (CHECK_EVAL_BREAKER, Python/ceval.c at v3.8.0 to
// v3.15.0).
#pragma once

#include <cstddef>
#include <vector>

#include "pyframes/lock_managers.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct EdgeHold {
  ManagedLock lock;
  int line = 0;  // of the `with`; 0: not known, or not looked up while the target is held
};

// Of the frame `index` of the thread. `takes_gil` as PyThread has it: then it is through with what it called.
std::vector<EdgeHold> holds_at_block_edge(Reading& reading, const ThreadCopy& thread, std::size_t index,
                                          bool takes_gil);

}  // namespace pythreads::pyframes
