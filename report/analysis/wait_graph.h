// Who waits for whom: threads and resources as nodes, waits and holds as edges. Waiter and resource are
// joined by address, resource and owner by what the owner's own frames say and by owner fields; each join
// keeps how it is known, and an edge is as sure as its weakest part.
#pragma once

#include <span>
#include <vector>

#include "report/analysis/findings.h"
#include "report/analysis/joined_threads.h"
#include "report/analysis/wait_rules.h"

namespace pythreads::report {

// Completes `findings.threads` (filled from `classified`, one for each of `threads`) with resources and
// holds, adds `findings.resources`, and returns the edges.
struct WaitGraph {
  std::vector<Edge> edges;
  std::vector<WayOut> ways_out;
};

WaitGraph build_wait_graph(const Snapshot& snapshot, std::span<const JoinedThread> threads,
                           std::span<const Classification> classified, ProcessFindings& findings);

}  // namespace pythreads::report
