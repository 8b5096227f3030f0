// Which OS thread a thread state belongs to.
//
// PyThreadState.thread_id is pthread_self(), which on glibc registers tell (attach/architecture.h): an
// equality of registers and memory that holds in any pid namespace. Where registers are missing (--no-stop),
// the native id (3.11 on) is compared with the tid inside the target's pid namespace; before 3.11 the `tid`
// of glibc's struct pthread stands in for it, after the struct has been checked to be one. Sources:
// Include/cpython/pystate.h; glibc sysdeps/*/nptl/tls.h (tcbhead_t) and nptl/descr.h.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Sets each ThreadCopy::os_thread. Called in both walks, as soon as the thread states are copied.
void match_os_threads(Reading& reading, RuntimeCopy& copy);

// PyThread::ident, native_thread_id, tid and main, from what `match_os_threads` found.
void read_thread_ids(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
