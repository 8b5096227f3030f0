#include "report/analysis/analyse.h"

#include <iterator>
#include <string>
#include <vector>

#include "report/analysis/joined_threads.h"
#include "report/analysis/verdict.h"
#include "report/analysis/wait_graph.h"
#include "report/analysis/wait_rules.h"

namespace pythreads::report {
namespace {

// What began last in the middle of something else.
std::string trigger_of(const JoinedThread& thread) {
  using pyframes::PyTrigger;
  if (thread.python == nullptr) return "";
  for (const pyframes::PyFrame& frame : thread.python->frames) {
    switch (frame.trigger) {
      case PyTrigger::none:
        continue;
      case PyTrigger::finalizer:
        return "finalizer";
      case PyTrigger::signal_handler:
        return "signal-handler";
      case PyTrigger::gc:
        return "gc";
      case PyTrigger::atexit:
        return "atexit";
      case PyTrigger::import:
        return "import";
      case PyTrigger::trace:
        return "trace";
    }
  }
  return "";
}

}  // namespace

Findings analyse(std::span<const Snapshot> snapshots) {
  Findings findings;
  std::vector<std::vector<JoinedThread>> joined;
  joined.reserve(snapshots.size());
  findings.processes.reserve(snapshots.size());
  for (const Snapshot& snapshot : snapshots) {
    const std::vector<JoinedThread>& threads = joined.emplace_back(join_threads(snapshot));
    ProcessFindings& process = findings.processes.emplace_back();
    process.pid = snapshot.process.pid;
    std::vector<Classification> classified;
    for (const JoinedThread& thread : threads) {
      const Classification& found = classified.emplace_back(classify(thread));
      ThreadFinding finding;
      finding.node = {thread.pid, thread.tid()};
      finding.interpreter = thread.interpreter != nullptr ? thread.interpreter->id : 0;
      finding.status = found.status;
      finding.wait = found.wait;
      finding.trigger = trigger_of(thread);
      process.threads.push_back(std::move(finding));
    }
    WaitGraph graph = build_wait_graph(snapshot, threads, classified, process);
    findings.edges.insert(findings.edges.end(), std::make_move_iterator(graph.edges.begin()),
                          std::make_move_iterator(graph.edges.end()));
    findings.ways_out.insert(findings.ways_out.end(), graph.ways_out.begin(), graph.ways_out.end());
  }

  std::vector<JudgedProcess> judged;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    judged.push_back({&snapshots[i], joined[i], &findings.processes[i]});
  }
  judge(judged, findings);
  return findings;
}

}  // namespace pythreads::report
