// What binds a thread to the one that it waits for: which knots of the graph are which kind of cause is told
// by the roles of their links.
#pragma once

#include "report/analysis/findings.h"
#include "report/analysis/thread_index.h"

namespace pythreads::report {

enum class LinkRole {
  lock,    // owned by the other
  native,  // a lock of the native side, owned by the other
  gil,
  import,
  join,      // the other's end
  runner,    // the other runs the work item of a future
  pool,      // the other is a worker of the pool in whose queue the work item lies
  loop,      // the other's event loop has to run what is waited for
  permit,    // the other has one of the permits of a semaphore
  slot,      // the other would take something out of a full queue
  notifier,  // the other would come to a call that wakes it
};

LinkRole role_of(const Edge& edge, const ThreadIndex& index);

}  // namespace pythreads::report
