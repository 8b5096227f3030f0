#include "report/analysis/stuck_threads.h"

#include <map>
#include <set>

namespace pythreads::report {

std::vector<Edge> stuck_edges(std::span<const Edge> edges, std::span<const Node> never_woken) {
  std::map<Node, std::vector<Node>> waiters;
  std::set<Node> wait;
  for (const Edge& edge : edges) {
    if (edge.certainty == Certainty::possible) continue;
    waiters[edge.to].push_back(edge.from);
    wait.insert(edge.from);
  }
  const std::set<Node> ends(never_woken.begin(), never_woken.end());
  std::set<Node> may_run;
  std::vector<Node> left;
  for (const auto& [to, from] : waiters) {
    if (!wait.contains(to) && !ends.contains(to) && may_run.insert(to).second) left.push_back(to);
  }
  while (!left.empty()) {
    const Node node = left.back();
    left.pop_back();
    for (const Node waiter : waiters[node]) {
      if (may_run.insert(waiter).second) left.push_back(waiter);
    }
  }
  std::vector<Edge> stuck;
  for (const Edge& edge : edges) {
    if (edge.certainty != Certainty::possible && !may_run.contains(edge.from)) stuck.push_back(edge);
  }
  return stuck;
}

}  // namespace pythreads::report
