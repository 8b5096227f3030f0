// All that is known of a target, whether it is a live process, a core or a recording: a struct, not an
// interface. Nothing after `attach` asks which it was.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "attach/mapping.h"
#include "attach/memory.h"
#include "attach/modules.h"
#include "attach/process.h"
#include "attach/target_files.h"
#include "attach/thread_state.h"

namespace pythreads::attach {

// A system call that our stop cut short: the target sees EINTR or a short count though no signal came.
struct Disturbance {
  pid_t tid = 0;
  std::string syscall;  // "epoll_wait"
  std::string effect;   // "EINTR" or "short"
};

// How the look went.
struct StopReport {
  bool stopped = false;        // false with --no-stop
  double pause_ms = 0;         // first PTRACE_INTERRUPT to last PTRACE_DETACH
  bool budget_passed = false;  // the pause budget ended the hold before the readers were done
  bool mappings_changed = false;
  std::chrono::system_clock::time_point captured_at;
  std::vector<Disturbance> disturbed;
  std::vector<std::string> gaps;
};

struct Target {
  Process process;
  std::vector<Mapping> mappings;
  std::vector<Module> modules;
  std::vector<ThreadState> threads;  // by tid; the leader first

  // Live before the stop; while held a page cache; after the release only the pages that were read while
  // held: a miss is then an error. What carries an owner, a wait or a verdict is read from here.
  std::unique_ptr<Memory> memory;
  // The same pages first, then the live target: only for what doesn't change while it exists (code objects,
  // their names and tables, types), whose type is checked by who reads it.
  std::unique_ptr<Memory> lasting;
  std::unique_ptr<TargetFiles> files;
};

}  // namespace pythreads::attach
