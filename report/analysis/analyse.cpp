#include "report/analysis/analyse.h"

#include <iterator>

#include "report/analysis/joined_threads.h"
#include "report/analysis/verdict.h"
#include "report/analysis/wait_graph.h"
#include "report/analysis/wait_rules.h"

namespace pythreads::report {

Findings analyse(std::span<const Snapshot> snapshots) {
  Findings findings;
  std::vector<std::vector<JoinedThread>> joined;
  joined.reserve(snapshots.size());
  findings.processes.reserve(snapshots.size());
  for (const Snapshot& snapshot : snapshots) {
    const std::vector<JoinedThread>& threads = joined.emplace_back(join_threads(snapshot));
    ProcessFindings& process = findings.processes.emplace_back();
    process.pid = snapshot.process.pid;
    for (const JoinedThread& thread : threads) {
      Classification classified = classify(thread);
      ThreadFinding finding;
      finding.node = {thread.pid, thread.tid()};
      finding.interpreter = thread.interpreter != nullptr ? thread.interpreter->id : 0;
      finding.status = classified.status;
      finding.wait = std::move(classified.wait);
      process.threads.push_back(std::move(finding));
    }
    std::vector<Edge> edges = build_wait_graph(snapshot, threads, process);
    findings.edges.insert(findings.edges.end(), std::make_move_iterator(edges.begin()),
                          std::make_move_iterator(edges.end()));
  }

  std::vector<JudgedProcess> judged;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    judged.push_back({&snapshots[i], joined[i], &findings.processes[i]});
  }
  judge(judged, findings);
  return findings;
}

}  // namespace pythreads::report
