// Looks at one process: prepare once, then hold and read on for each look. The only place that knows every
// reader.
//
// From look to look is kept what costs most and doesn't change: the open files and mappings, the modules, the
// runtime and its layout, unwind rows and symbols. Before each further look the mappings are compared; where
// files came or went, what was learned of modules is learned anew. A process that executes another program,
// or ends, is not looked at any more, whoever has its number by then (attach/attachment.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>

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

class OpenedTarget {
 public:
  explicit OpenedTarget(pid_t pid);
  OpenedTarget(OpenedTarget&&) noexcept;
  OpenedTarget& operator=(OpenedTarget&&) noexcept;
  ~OpenedTarget();

  pid_t pid() const;

  // The first opens the target. After an error that is no moment's (it ended), there is no further look.
  attach::Result<Capture> look(const Options& options, Deadline deadline);

  // Of the last look's threads. After a look and not in it, for few services need a second one.
  void count_switches(report::Snapshot& last) const;

  // Gives back what a look has kept, pages of the target before all. There is no further look.
  void close();

 private:
  struct Kept;
  std::unique_ptr<Kept> kept_;
};

}  // namespace pythreads::cli
