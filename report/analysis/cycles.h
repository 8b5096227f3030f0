// Algorithms over the edges of the wait-for graph; nothing here knows what a node is or why it waits. Edges
// that are only `possible` never count. Each takes time in proportion to the edges: a process may have ten
// thousand threads in one chain, so nothing recurses either.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "report/analysis/findings.h"

namespace pythreads::report {

enum class Along { forward, backward };

// Who is reached from whom: all that a node waits for, in the end (forward), or all that wait for it
// (backward).
class Reach {
 public:
  Reach(std::span<const Edge> edges, Along direction);

  // In order, without `nodes` themselves.
  std::vector<Node> from(std::span<const Node> nodes) const;

  std::span<const Node> nodes() const { return nodes_; }
  std::span<const std::size_t> next(std::size_t node) const {
    return std::span(targets_).subspan(begins_[node], begins_[node + 1] - begins_[node]);
  }
  std::optional<std::size_t> index_of(Node node) const;

 private:
  std::vector<Node> nodes_;          // each once, in order
  std::vector<std::size_t> begins_;  // into targets_, one more than nodes
  std::vector<std::size_t> targets_;
};

// A strongly connected group of nodes, and the shortest cycle in it that starts at its least node: each waits
// for the next, the last for the first.
struct Knot {
  std::vector<Node> cycle;
  std::vector<Node> members;  // all of them, in order
};

// In the order of their cycles.
std::vector<Knot> find_knots(std::span<const Edge> edges);

}  // namespace pythreads::report
