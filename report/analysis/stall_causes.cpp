// Causes without a cycle: a holder, a loop or an exit that waits for the outside while others wait for it.
// They speak of the moment that was looked at.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "report/analysis/cause_searches.h"
#include "report/analysis/link_roles.h"
#include "report/analysis/standstill.h"

namespace pythreads::report {
namespace {

// What a thread owns because it is what it is, and not because it took it: to wait for it is no queue.
constexpr std::array<std::string_view, 3> no_queues{"Thread", "Future", "event-loop"};

bool is_queue(const Resource& resource) {
  return std::find(no_queues.begin(), no_queues.end(), resource.kind) == no_queues.end();
}

void add_holder(CauseList& causes, std::string_view kind, const Resource& resource) {
  CauseDraft draft;
  draft.kind = kind;
  draft.resource = &resource;
  draft.waiters = resource.waiters.size();
  draft.nodes = draft.fingerprinted = {*resource.owner};
  draft.resources = {resource.id};
  draft.grade.certainty = resource.owner_certainty;
  for (const Node waiter : resource.waiters) {
    if (const Edge* link = causes.index().edge(waiter, *resource.owner)) draft.grade.add(link->certainty);
  }
  // Facts of threads that were not held may be of different moments, and an ident alone may name a thread
  // that never took it.
  if (draft.grade.certainty < Certainty::inferred) return;
  causes.add(draft);
}

template <typename Test>
void add_holders(CauseList& causes, std::string_view kind, const JudgedProcess& process, Test test) {
  for (const Resource& each : process.findings->resources) {
    if (!each.owner || each.waiters.empty() || !causes.index().knows(*each.owner)) continue;
    if (test(each, causes.index().finding(*each.owner)) && !causes.explains(*each.owner))
      add_holder(causes, kind, each);
  }
}

// At exit, in its own words: the main thread waits for others to end.
bool waits_at_exit(const JoinedThread& thread, const ThreadFinding& finding) {
  if (!finding.wait || thread.python == nullptr) return false;
  if (finding.wait->kind == "shutdown") return true;
  if (finding.wait->kind != "join" && finding.wait->kind != "handle") return false;
  const std::vector<pyframes::PyFrame>& frames = thread.python->frames;
  return std::any_of(frames.begin(), frames.end(), [](const pyframes::PyFrame& frame) {
    return (frame.module_name == "threading" && frame.function == "_shutdown") ||
           (frame.module_name == "concurrent.futures.thread" && frame.function == "_python_exit");
  });
}

// Who is waited for in the end, if each waits for one only.
Node last_of(const CauseList& causes, Node node) {
  constexpr int most = 1000;
  for (int i = 0; i < most; ++i) {
    const std::span<const Edge> edges = causes.edges();
    const auto next = std::lower_bound(edges.begin(), edges.end(), node,
                                       [](const Edge& edge, Node at) { return edge.from < at; });
    if (next == edges.end() || next->from != node || next->to == node) break;
    node = next->to;
  }
  return node;
}

void add_exit(CauseList& causes, const JudgedProcess& process, Node waits) {
  if (anybody_runs(process)) return;
  const Node other = last_of(causes, waits);
  if (other == waits || causes.explains(waits) || causes.explains(other)) return;
  const ThreadFinding& finding = causes.index().finding(other);
  if (finding.status == Status::running || finding.status == Status::idle || !finding.wait) return;
  // A descriptor's own time limit is not looked at: what reads waits for as long as nothing comes.
  const bool outside = is_outside(finding);
  if (finding.wait->timeout.value_or(!outside)) return;
  if (!outside && !is_standstill(process, Considered::all_but_daemons)) return;
  CauseDraft draft;
  draft.kind = "shutdown-blocked";
  draft.nodes = {waits, other};
  draft.fingerprinted = {other};
  if (outside) draft.verdict = Verdict::waiting;
  causes.add(draft);
}

// Threads that only wait for work are idle, and one that waits for what a signal's handler will do waits like
// them. But where another is blocked behind them, somebody was expected to come.
void add_silence(CauseList& causes, const JudgedProcess& process) {
  const ThreadIndex& index = causes.index();
  CauseDraft draft;
  std::size_t blocked = 0;
  for (const ThreadFinding& thread : process.findings->threads) {
    if (!thread.wait || index.joined(thread.node).python == nullptr) continue;
    if (causes.explains(thread.node)) return;
    const std::string& kind = thread.wait->kind;
    // Its owner is not known, and the verdict says that.
    if (kind == "lock" || kind == "rlock" || kind == "import") return;
    if (thread.status == Status::blocked) ++blocked;
    ++draft.waiters;
    if (kind == "join" || kind == "handle" || kind == "idle") continue;
    draft.nodes.push_back(thread.node);
    const std::optional<std::string>& id = thread.wait->resource;
    if (id && std::find(draft.resources.begin(), draft.resources.end(), *id) == draft.resources.end())
      draft.resources.push_back(*id);
  }
  if (blocked == 0 || draft.nodes.empty()) return;
  const bool exhausted = std::all_of(draft.nodes.begin(), draft.nodes.end(), [&](Node node) {
    const std::string& kind = index.finding(node).wait->kind;
    return kind == "queue-put" || kind == "semaphore";
  });
  draft.kind = exhausted ? "resource-exhausted" : "lost-wakeup";
  draft.fingerprinted = draft.nodes;
  draft.grade.certainty = Certainty::likely;
  draft.verdict = Verdict::stalled;
  draft.resource = index.resource(index.finding(draft.nodes.front()).wait->resource);
  causes.add(draft);
}

}  // namespace

void find_gil_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    add_holders(causes, "gil-held-in-native", process,
                [](const Resource& resource, const ThreadFinding& owner) {
                  return resource.kind == "GIL" && owner.status != Status::running;
                });
    add_holders(causes, "world-held-in-native", process,
                [](const Resource& resource, const ThreadFinding& owner) {
                  return resource.kind == "stop-event" && owner.status != Status::running;
                });
  }
}

void find_holder_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    if (anybody_runs(process)) continue;
    add_holders(causes, "contention", process, [](const Resource& resource, const ThreadFinding& owner) {
      return resource.kind != "GIL" && is_queue(resource) && is_outside(owner);
    });
  }
}

void find_loop_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    if (anybody_runs(process)) continue;
    std::map<Node, std::size_t> waiters;
    for (const Edge& edge : causes.edges()) {
      if (edge.from.pid != process.findings->pid || edge.from == edge.to) continue;
      if (role_of(edge, causes.index()) == LinkRole::loop) ++waiters[edge.to];
    }
    for (const auto& [node, count] : waiters) {
      const ThreadFinding& loop = causes.index().finding(node);
      if (causes.explains(node) || (loop.status != Status::blocked && loop.status != Status::waiting))
        continue;
      CauseDraft draft;
      draft.kind = "loop-blocked";
      draft.nodes = draft.fingerprinted = {node};
      draft.waiters = count;
      causes.add(draft);
    }
  }
}

void find_exit_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    for (const ThreadFinding& thread : process.findings->threads) {
      if (waits_at_exit(causes.index().joined(thread.node), thread)) add_exit(causes, process, thread.node);
    }
  }
}

void find_silent_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    if (is_standstill(process)) add_silence(causes, process);
  }
}

}  // namespace pythreads::report
