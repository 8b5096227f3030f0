#include "report/analysis/stuck_threads.h"

#include <algorithm>

#include "report/analysis/cycles.h"

namespace pythreads::report {

std::vector<Edge> stuck_edges(std::span<const Edge> edges, std::span<const WayOut> ways_out,
                              std::span<const Node> never_woken) {
  // Copied only where something is added: a large pool has a million edges.
  std::vector<Edge> more;
  if (!ways_out.empty()) more.assign(edges.begin(), edges.end());
  for (const WayOut& each : ways_out) {
    Edge& way = more.emplace_back();
    way.from = each.from;
    way.to = each.by;
    way.certainty = Certainty::likely;
  }
  const std::span<const Edge> ways = ways_out.empty() ? edges : std::span<const Edge>(more);
  const Reach waits(ways, Along::forward);
  std::vector<Node> ends(never_woken.begin(), never_woken.end());
  std::sort(ends.begin(), ends.end());
  std::vector<Node> may_run;
  for (std::size_t i = 0; i < waits.nodes().size(); ++i) {
    const Node node = waits.nodes()[i];
    if (waits.next(i).empty() && !std::binary_search(ends.begin(), ends.end(), node)) may_run.push_back(node);
  }
  const std::vector<Node> behind = Reach(ways, Along::backward).from(may_run);
  std::vector<Edge> stuck;
  for (const Edge& edge : edges) {
    if (edge.certainty == Certainty::possible) continue;
    if (!std::binary_search(behind.begin(), behind.end(), edge.from)) stuck.push_back(edge);
  }
  std::sort(stuck.begin(), stuck.end(),
            [](const Edge& a, const Edge& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; });
  return stuck;
}

}  // namespace pythreads::report
