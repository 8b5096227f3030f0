// Who will complete a future: the pool in whose work queue its item still lies, or the asyncio loop that was
// asked to run its coroutine.
//
// A pool's work queue holds _WorkItem objects, each with its `future`. run_coroutine_threadsafe leaves a
// closure over the future among the loop's ready handles until the loop runs it; from then on the future is
// the destination of a chain (asyncio.futures._chain_future), whose callback is _call_check_cancel with the
// loop in its closure. wrap_future makes the future the source of a chain: its callback _call_set_state has a
// loop in its closure too, but that loop only hears of the end and brings it not about. Sources:
// Lib/concurrent/ futures/thread.py, Lib/asyncio/tasks.py, Lib/asyncio/futures.py, Modules/_queuemodule.c,
// Modules/_collectionsmodule.c at v3.8.0 to v3.15.0.
#pragma once

#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Fills PySyncObject::queue and ::loop of `futures`, as far as one of these work queues and running loops is
// theirs. Bounded: of a long queue the front is searched.
void find_future_homes(Reading& reading, const std::vector<attach::Address>& futures,
                       const std::vector<attach::Address>& queues, const std::vector<attach::Address>& loops);

}  // namespace pythreads::pyframes
