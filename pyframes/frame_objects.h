// The variables of the standard library's own frames that say what a thread does there: `threading.wait`
// waits on its `self`, a pool's worker takes from its `work_queue`.
//
// Which variables of which functions are noted is a table here, by module and function; what they mean is a
// table in report/analysis/wait_rules. A function is known by its name and the `__name__` of its globals, so
// a program's own function of the same name is not taken for it.
// Sources: Lib/threading.py, Lib/queue.py, Lib/concurrent/futures, Lib/importlib/_bootstrap.py, Lib/asyncio,
// Lib/multiprocessing at v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// PyThread::frame_objects, and what these objects say (sync_objects.h). The same while held and after.
void read_frame_objects(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
