// Which threads can't go on, whatever the others do. A thread that waits for one owner goes on when the owner
// does; one that waits for any of several (the workers of a pool, the holders of a semaphore's permits, those
// who would wake it) goes on when one of them does. So a thread is stuck if no way along its edges leads to a
// thread that may run, and that holds for both kinds alike: the greatest set of which nobody leads out. A way
// out (WayOut) is one more way to go. What ends in a thread that nothing can wake (its lock's owner is gone)
// is stuck as well.
#pragma once

#include <span>
#include <vector>

#include "report/analysis/findings.h"

namespace pythreads::report {

// The edges between stuck threads, by `from`. Edges that are only `possible` never count; each of
// `never_woken` is stuck, with or without an edge.
std::vector<Edge> stuck_edges(std::span<const Edge> edges, std::span<const WayOut> ways_out,
                              std::span<const Node> never_woken);

}  // namespace pythreads::report
