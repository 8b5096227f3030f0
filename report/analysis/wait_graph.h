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
std::vector<Edge> build_wait_graph(const Snapshot& snapshot, std::span<const JoinedThread> threads,
                                   std::span<const Classification> classified, ProcessFindings& findings);

// A strongly connected group of nodes, and the shortest cycle in it that starts at its least node: each waits
// for the next, the last for the first.
struct Knot {
  std::vector<Node> cycle;
  std::vector<Node> members;  // all of them, in order
};

// In the order of their cycles. Edges that are only `possible` never count.
std::vector<Knot> find_knots(std::span<const Edge> edges);

// All nodes from which one of `nodes` is reached, without these.
std::vector<Node> nodes_behind(std::span<const Edge> edges, std::span<const Node> nodes);

}  // namespace pythreads::report
