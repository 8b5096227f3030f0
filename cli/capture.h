// One look at one process: prepare, hold, read on. The only place that knows every reader.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "attach/result.h"
#include "cli/options.h"
#include "report/snapshot.h"

namespace pythreads::cli {

using Deadline = std::chrono::steady_clock::time_point;

// Errors are those that end the look (no such process, not permitted, not Python, …); what is missing in one
// place is a gap in the snapshot. What the deadline left unread is a gap too: `deadline_passed` then says so.
struct Capture {
  report::Snapshot snapshot;
  bool deadline_passed = false;
};

attach::Result<Capture> capture(pid_t pid, const Options& options, Deadline deadline);

}  // namespace pythreads::cli
