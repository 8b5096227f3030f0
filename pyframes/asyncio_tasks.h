// The coroutines of the asyncio tasks that belong to a loop: while they are suspended, the thread that runs
// the loop is the one that will go on with them.
//
// asyncio keeps its tasks in weak sets (`_all_tasks` to 3.11, `_scheduled_tasks` from 3.12 on); from 3.14 on
// those written in C are in a list of the thread state that runs their loop. Sources: Lib/asyncio/tasks.py,
// Modules/_asynciomodule.c, Include/internal/pycore_tstate.h at v3.8.0 to v3.15.0.
#pragma once

#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Of the loop that this thread runs. What can't be read is left out.
std::vector<attach::Address> task_coroutines(Reading& reading, const InterpreterCopy& interpreter,
                                             const ThreadCopy& thread, attach::Address loop);

}  // namespace pythreads::pyframes
