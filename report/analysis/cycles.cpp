#include "report/analysis/cycles.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace pythreads::report {
namespace {

constexpr std::size_t nobody = std::numeric_limits<std::size_t>::max();

// Tarjan's algorithm with its recursion unrolled.
class StrongComponents {
 public:
  explicit StrongComponents(const Reach& graph) : graph_(graph), places_(graph.nodes().size()) {
    for (std::size_t node = 0; node < places_.size(); ++node) {
      if (places_[node].index == nobody) visit(node);
    }
  }

  const std::vector<std::vector<std::size_t>>& components() const { return components_; }

 private:
  struct Place {
    std::size_t index = nobody, low = 0;
    bool on_path = false;
  };
  struct Step {
    std::size_t node = 0, next = 0;
  };

  void enter(std::size_t node) {
    places_[node] = {count_, count_, true};
    ++count_;
    path_.push_back(node);
    steps_.push_back({node, 0});
  }

  void visit(std::size_t root) {
    enter(root);
    while (!steps_.empty()) {
      Step& step = steps_.back();
      const std::span<const std::size_t> next = graph_.next(step.node);
      if (step.next == next.size()) {
        leave();
        continue;
      }
      const std::size_t to = next[step.next++];
      if (places_[to].index == nobody) {
        enter(to);
      } else if (places_[to].on_path) {
        Place& place = places_[step.node];
        place.low = std::min(place.low, places_[to].index);
      }
    }
  }

  void leave() {
    const std::size_t node = steps_.back().node;
    steps_.pop_back();
    const Place place = places_[node];
    if (!steps_.empty()) {
      Place& parent = places_[steps_.back().node];
      parent.low = std::min(parent.low, place.low);
    }
    if (place.low != place.index) return;
    std::vector<std::size_t> component;
    for (;;) {
      const std::size_t member = path_.back();
      path_.pop_back();
      places_[member].on_path = false;
      component.push_back(member);
      if (member == node) break;
    }
    std::sort(component.begin(), component.end());
    components_.push_back(std::move(component));
  }

  const Reach& graph_;
  std::vector<Place> places_;
  std::size_t count_ = 0;
  std::vector<std::size_t> path_;
  std::vector<Step> steps_;
  std::vector<std::vector<std::size_t>> components_;
};

// Breadth first from the first of `members` back to itself, inside of them. Empty: there is no way.
std::vector<std::size_t> shortest_cycle(const Reach& graph, const std::vector<std::size_t>& members) {
  const std::size_t start = members.front();
  std::vector<std::size_t> came_from(members.size(), nobody);  // beside members
  std::vector<std::size_t> queue{start};
  const auto place_of = [&](std::size_t node) -> std::size_t* {
    const auto found = std::lower_bound(members.begin(), members.end(), node);
    if (found == members.end() || *found != node) return nullptr;
    return &came_from[static_cast<std::size_t>(found - members.begin())];
  };
  for (std::size_t done = 0; done < queue.size(); ++done) {
    const std::size_t node = queue[done];
    for (const std::size_t to : graph.next(node)) {
      if (to == start) {
        std::vector<std::size_t> cycle{node};
        for (std::size_t at = node; at != start;) cycle.push_back(at = *place_of(at));
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      std::size_t* place = place_of(to);
      if (place == nullptr || *place != nobody) continue;
      *place = node;
      queue.push_back(to);
    }
  }
  return {};
}

}  // namespace

Reach::Reach(std::span<const Edge> edges, Along direction) {
  const auto counts = [](const Edge& edge) { return edge.certainty != Certainty::possible; };
  const auto add = [&](Node node) {
    if (nodes_.empty() || nodes_.back() != node) nodes_.push_back(node);
  };
  const auto keep_each_once = [&] {
    std::sort(nodes_.begin(), nodes_.end());
    nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  };
  // In two turns, for a pool of a thousand workers has a million edges and no more nodes than workers.
  for (const Edge& edge : edges) {
    if (counts(edge)) add(edge.from);
  }
  keep_each_once();
  const std::vector<Node> starts = nodes_;
  for (const Edge& edge : edges) {
    if (counts(edge) && !std::binary_search(starts.begin(), starts.end(), edge.to)) add(edge.to);
  }
  keep_each_once();

  std::vector<std::pair<std::size_t, std::size_t>> steps;
  steps.reserve(edges.size());
  begins_.resize(nodes_.size() + 1);
  for (const Edge& edge : edges) {
    if (!counts(edge)) continue;
    const std::size_t from = *index_of(edge.from), to = *index_of(edge.to);
    steps.push_back(direction == Along::forward ? std::pair(from, to) : std::pair(to, from));
    ++begins_[steps.back().first + 1];
  }
  for (std::size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
  std::vector<std::size_t> filled = begins_;
  targets_.resize(steps.size());
  for (const auto& [from, to] : steps) targets_[filled[from]++] = to;
}

std::optional<std::size_t> Reach::index_of(Node node) const {
  const auto found = std::lower_bound(nodes_.begin(), nodes_.end(), node);
  if (found == nodes_.end() || *found != node) return std::nullopt;
  return static_cast<std::size_t>(found - nodes_.begin());
}

std::vector<Node> Reach::from(std::span<const Node> nodes) const {
  std::vector<bool> seen(nodes_.size());
  std::vector<std::size_t> queue;
  for (const Node node : nodes) {
    const std::optional<std::size_t> index = index_of(node);
    if (!index || seen[*index]) continue;
    seen[*index] = true;
    queue.push_back(*index);
  }
  const std::size_t given = queue.size();
  for (std::size_t done = 0; done < queue.size(); ++done) {
    for (const std::size_t to : next(queue[done])) {
      if (seen[to]) continue;
      seen[to] = true;
      queue.push_back(to);
    }
  }
  std::vector<Node> reached;
  for (std::size_t i = given; i < queue.size(); ++i) reached.push_back(nodes_[queue[i]]);
  std::sort(reached.begin(), reached.end());
  return reached;
}

std::vector<Knot> find_knots(std::span<const Edge> edges) {
  const Reach graph(edges, Along::forward);
  const StrongComponents strong(graph);
  std::vector<Knot> knots;
  const auto nodes_of = [&](const std::vector<std::size_t>& indices) {
    std::vector<Node> nodes;
    for (const std::size_t index : indices) nodes.push_back(graph.nodes()[index]);
    return nodes;
  };
  for (const std::vector<std::size_t>& component : strong.components()) {
    const std::vector<std::size_t> cycle = shortest_cycle(graph, component);
    if (!cycle.empty()) knots.push_back({nodes_of(cycle), nodes_of(component)});
  }
  std::sort(knots.begin(), knots.end(), [](const Knot& a, const Knot& b) { return a.cycle < b.cycle; });
  return knots;
}

}  // namespace pythreads::report
