#include "report/analysis/cause_list.h"

#include <algorithm>
#include <string>
#include <utility>

#include "report/analysis/cause_kinds.h"
#include "report/analysis/standstill.h"
#include "report/analysis/stuck_threads.h"

namespace pythreads::report {
namespace {

using pyframes::PySyncKind;

// A GIL is handed on within milliseconds unless its holder waits for something itself, without a limit.
bool is_firm_gil_edge(const Edge& edge, const ThreadIndex& index) {
  const ThreadFinding& holder = index.finding(edge.to);
  return holder.status == Status::blocked && holder.wait && holder.wait->timeout == std::optional(false);
}

std::vector<Edge> edges_that_count(const ThreadIndex& index, std::span<const Edge> edges) {
  std::vector<Edge> counting;
  for (const Edge& edge : edges) {
    if (edge.certainty == Certainty::possible || !index.knows(edge.from) || !index.knows(edge.to)) continue;
    if (index.finding(edge.from).status == Status::running) continue;
    if (is_over(index.joined(edge.from), edge, index.resource(edge.resource))) continue;
    if (edge.kind == "gil" && !is_firm_gil_edge(edge, index)) continue;
    counting.push_back(edge);
  }
  std::sort(counting.begin(), counting.end(),
            [](const Edge& a, const Edge& b) { return a.from != b.from ? a.from < b.from : a.to < b.to; });
  return counting;
}

std::vector<WayOut> ways_that_count(const ThreadIndex& index, std::span<const WayOut> ways_out) {
  std::vector<WayOut> counting;
  for (const WayOut& each : ways_out) {
    if (index.knows(each.from) && index.knows(each.by)) counting.push_back(each);
  }
  return counting;
}

std::vector<Node> find_never_woken(std::span<const JudgedProcess> processes) {
  std::vector<Node> never;
  for (const JudgedProcess& process : processes) {
    for (const Resource& resource : process.findings->resources) {
      if (is_owner_gone(resource))
        never.insert(never.end(), resource.waiters.begin(), resource.waiters.end());
    }
  }
  return never;
}

// Sorted and each once where there is no order: neither tids nor how many there are may tell in it.
std::vector<CauseLink> links_of(const ThreadIndex& index, const CauseDraft& draft) {
  std::vector<CauseLink> links;
  const bool ordered = !draft.cycle.empty() && draft.fingerprinted.empty();
  for (const Node node : ordered ? draft.cycle : draft.fingerprinted) links.push_back(index.link(node));
  if (ordered) return links;
  std::sort(links.begin(), links.end());
  links.erase(std::unique(links.begin(), links.end()), links.end());
  return links;
}

}  // namespace

bool is_owner_gone(const Resource& resource) {
  const bool gone =
      resource.owner_state == OwnerState::exited || resource.owner_state == OwnerState::before_fork;
  return gone && resource.kind != "Thread" && !resource.waiters.empty();
}

bool is_over(const JoinedThread& thread, const Edge& edge, const Resource* resource) {
  if (is_woken(thread)) return true;
  if (resource == nullptr || thread.runtime == nullptr) return false;
  const pyframes::PySyncObject* object = pyframes::find_sync_object(*thread.runtime, resource->address);
  if (object == nullptr) return false;
  const bool ends = object->kind == PySyncKind::future || object->kind == PySyncKind::thread;
  if (ends && object->finished.value_or(false)) return true;
  const bool lock = object->kind == PySyncKind::lock || object->kind == PySyncKind::rlock;
  return lock && (edge.kind == "lock" || edge.kind == "rlock") && object->locked == std::optional(false);
}

CauseList::CauseList(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings)
    : processes_(processes),
      index_(index),
      findings_(findings),
      edges_(edges_that_count(index, findings.edges)),
      ways_out_(ways_that_count(index, findings.ways_out)),
      stuck_(stuck_edges(edges_, ways_out_, find_never_woken(processes))),
      waits_for_(stuck_, Along::forward),
      stuck_behind_(stuck_, Along::backward),
      all_behind_(edges_, Along::backward) {}

std::span<const Edge> CauseList::stuck_from(Node node) const {
  const auto before = [](const Edge& edge, Node at) { return edge.from < at; };
  const auto after = [](Node at, const Edge& edge) { return at < edge.from; };
  const auto begin = std::lower_bound(stuck_.begin(), stuck_.end(), node, before);
  return {begin, std::upper_bound(begin, stuck_.end(), node, after)};
}

std::vector<Node> CauseList::ways_out_of(std::span<const Node> nodes) const {
  std::vector<Node> found;
  for (const WayOut& each : ways_out_) {
    if (std::find(nodes.begin(), nodes.end(), each.from) != nodes.end()) found.push_back(each.by);
  }
  return found;
}

void CauseList::add(const CauseDraft& draft) {
  const CauseKind& kind = cause_kinds[place_of(draft.kind)];
  Cause cause;
  cause.kind = draft.kind;
  cause.verdict = draft.verdict.value_or(verdict_of(kind, draft.grade));
  cause.certainty = draft.grade.certainty;
  cause.timed = draft.grade.timed;
  cause.nodes = draft.nodes;
  cause.resources = draft.resources;
  cause.sentence = kind.sentence(index_, draft);
  cause.fingerprint = fingerprint(draft.kind, links_of(index_, draft));
  // What is behind a stall may go on when the stall ends; what is behind a deadlock may not.
  cause.behind =
      (cause.verdict >= Verdict::possible_deadlock ? stuck_behind_ : all_behind_).from(draft.nodes);
  explained_.insert(cause.nodes.begin(), cause.nodes.end());
  explained_.insert(cause.behind.begin(), cause.behind.end());
  findings_.causes.push_back(std::move(cause));
}

void CauseList::sort() {
  std::stable_sort(findings_.causes.begin(), findings_.causes.end(), [](const Cause& a, const Cause& b) {
    if (a.verdict != b.verdict) return a.verdict > b.verdict;
    if (a.certainty != b.certainty) return a.certainty > b.certainty;
    if (a.kind != b.kind) return place_of(a.kind) < place_of(b.kind);
    const std::size_t threads = a.nodes.size() + a.behind.size(), others = b.nodes.size() + b.behind.size();
    // Of equals the same one speaks for the process in each run, whatever their tids are.
    return threads != others ? threads > others : a.fingerprint < b.fingerprint;
  });
}

}  // namespace pythreads::report
