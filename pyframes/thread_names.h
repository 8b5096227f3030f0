// Thread names as threading knows them: sys.modules['threading']._active, a dict {ident: Thread}, and the
// attributes `_name` and `_daemonic` of each. One that is being started is in `_limbo` before, where its own
// `_ident` tells whose it is.
//
// All of that is Python's own data, found by names alone: a target in the middle of its start, its end or a
// fork may have None or nothing at any step, and a program may put anything there. Then there is no name, and
// if that says something of more than one thread, a gap. Threads that C code started and that never asked
// threading have no entry. Source: Lib/threading.py at v3.6.0 to v3.15.0.
#pragma once

#include <cstddef>
#include <vector>

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// The counts and pointers at the heads of those dicts, of all interpreters one after another: other bytes
// than before when a thread was added or taken away.
std::vector<std::byte> heads_of_thread_tables(Reading& reading, const RuntimeCopy& copy);

void fetch_thread_names(Reading& reading, const RuntimeCopy& copy);

// PyThread::name and daemon. REQUIRES: PyThread::ident is filled in (read_thread_ids).
void read_thread_names(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
