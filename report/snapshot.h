// All facts of one look at one process: a plain value. Nothing of it needs the process any more, so it can be
// kept, recorded and analysed again by better rules. What it means is `Findings`; what the user sees is a
// `Document`.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "attach/process.h"
#include "attach/thread_state.h"
#include "pyframes/python_state.h"
#include "unwinder/native_stack.h"

namespace pythreads::report {

struct SnapshotThread {
  attach::ThreadState os;
  unwinder::NativeStack native;  // empty with a gap where it was not walked
  bool native_walked = false;
};

struct Disturbed {
  pid_t tid = 0;
  std::string syscall;
  std::string effect;
};

// One process at one moment. `runtime.interpreters[].threads[].tid` joins with `threads[].os.tid`.
struct Snapshot {
  attach::Process process;
  std::vector<SnapshotThread> threads;  // the leader first, then by tid
  pyframes::PyRuntimeState runtime;
  std::chrono::system_clock::time_point captured_at;
  bool stopped = true;
  double pause_ms = 0;
  std::vector<Disturbed> disturbed;
  std::vector<std::string> gaps;
};

}  // namespace pythreads::report
