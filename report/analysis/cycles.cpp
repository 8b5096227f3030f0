// The graph algorithms of wait_graph.h: nothing here knows what a node is.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "report/analysis/wait_graph.h"

namespace pythreads::report {
namespace {

using Successors = std::map<Node, std::vector<Node>>;

Successors successors_of(std::span<const Edge> edges) {
  Successors successors;
  for (const Edge& edge : edges) {
    if (edge.certainty == Certainty::possible) continue;
    successors[edge.from].push_back(edge.to);
    successors.try_emplace(edge.to);
  }
  for (auto& [node, next] : successors) {
    std::sort(next.begin(), next.end());
    next.erase(std::unique(next.begin(), next.end()), next.end());
  }
  return successors;
}

// Tarjan's algorithm with its recursion unrolled: a chain of waiters may be as long as there are threads.
class StrongComponents {
 public:
  explicit StrongComponents(const Successors& successors) : successors_(successors) {
    for (const auto& [node, next] : successors_) {
      if (!places_.contains(node)) visit(node);
    }
  }

  const std::vector<std::vector<Node>>& components() const { return components_; }

 private:
  struct Place {
    std::size_t index = 0, low = 0;
    bool on_path = false;
  };
  struct Step {
    Node node;
    std::size_t next = 0;
  };

  void enter(Node node) {
    const std::size_t index = places_.size();
    places_[node] = {index, index, true};
    path_.push_back(node);
    steps_.push_back({node, 0});
  }

  void visit(Node root) {
    enter(root);
    while (!steps_.empty()) {
      Step& step = steps_.back();
      const std::vector<Node>& next = successors_.at(step.node);
      if (step.next < next.size()) {
        const Node to = next[step.next++];
        const auto seen = places_.find(to);
        if (seen == places_.end()) {
          enter(to);
        } else if (seen->second.on_path) {
          Place& place = places_[step.node];
          place.low = std::min(place.low, seen->second.index);
        }
        continue;
      }
      leave();
    }
  }

  void leave() {
    const Node node = steps_.back().node;
    steps_.pop_back();
    const Place place = places_[node];
    if (!steps_.empty()) {
      Place& parent = places_[steps_.back().node];
      parent.low = std::min(parent.low, place.low);
    }
    if (place.low != place.index) return;
    std::vector<Node> component;
    for (;;) {
      const Node member = path_.back();
      path_.pop_back();
      places_[member].on_path = false;
      component.push_back(member);
      if (member == node) break;
    }
    components_.push_back(std::move(component));
  }

  const Successors& successors_;
  std::map<Node, Place> places_;
  std::vector<Node> path_;
  std::vector<Step> steps_;
  std::vector<std::vector<Node>> components_;
};

// Breadth first from `start` back to itself inside `members`.
std::vector<Node> shortest_cycle(const Successors& successors, const std::set<Node>& members, Node start) {
  std::map<Node, Node> came_from;
  std::deque<Node> queue{start};
  while (!queue.empty()) {
    const Node node = queue.front();
    queue.pop_front();
    for (const Node to : successors.at(node)) {
      if (to == start) {
        std::vector<Node> cycle{node};
        for (Node at = node; at != start;) cycle.push_back(at = came_from.at(at));
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (!members.contains(to) || !came_from.try_emplace(to, node).second) continue;
      queue.push_back(to);
    }
  }
  return {};
}

}  // namespace

std::vector<Knot> find_knots(std::span<const Edge> edges) {
  const Successors successors = successors_of(edges);
  std::vector<Knot> knots;
  const StrongComponents strong(successors);
  for (const std::vector<Node>& component : strong.components()) {
    const std::set<Node> members(component.begin(), component.end());
    std::vector<Node> cycle = shortest_cycle(successors, members, *members.begin());
    if (!cycle.empty()) knots.push_back({std::move(cycle), {members.begin(), members.end()}});
  }
  std::sort(knots.begin(), knots.end(), [](const Knot& a, const Knot& b) { return a.cycle < b.cycle; });
  return knots;
}

std::vector<Node> nodes_behind(std::span<const Edge> edges, std::span<const Node> nodes) {
  std::map<Node, std::vector<Node>> waiters;
  for (const Edge& edge : edges) {
    if (edge.certainty != Certainty::possible) waiters[edge.to].push_back(edge.from);
  }
  std::set<Node> seen(nodes.begin(), nodes.end());
  std::deque<Node> queue(nodes.begin(), nodes.end());
  std::vector<Node> behind;
  while (!queue.empty()) {
    const Node node = queue.front();
    queue.pop_front();
    for (const Node waiter : waiters[node]) {
      if (!seen.insert(waiter).second) continue;
      behind.push_back(waiter);
      queue.push_back(waiter);
    }
  }
  std::sort(behind.begin(), behind.end());
  return behind;
}

}  // namespace pythreads::report
