// What a thread state says of its thread beside frames: how deep it is, whether it is traced or profiled, and
// which exception another thread has asked it to raise; and whether the garbage collector runs.
//
// Recursion is counted up to 3.10 (recursion_depth) and down from a limit since. Of a running collection the
// thread is named only where the target says it: `gc.frame` (3.15), or an interpreter with one thread. The
// GIL's holder need not be it, for a finalizer may have given the GIL away.
// Sources: Include/cpython/pystate.h, Include/internal/pycore_gc.h at v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// The thread states themselves are copied already; this touches what they point to.
void fetch_thread_states(Reading& reading, const RuntimeCopy& copy);

// PyThread::recursion_depth, tracing, profiling, pending_async_exception; PyInterpreter::gc_collecting,
// gc_tid. REQUIRES: match_os_threads(reading, copy).
void read_thread_states(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
