// Causes in which nobody is left who could release: the owner has ended, or a fork did not copy it.
#include <algorithm>
#include <vector>

#include "report/analysis/cause_searches.h"
#include "report/analysis/standstill.h"

namespace pythreads::report {
namespace {

// Who waits without a time limit comes first and makes the verdict; where all have one, all are listed.
void add_waiters(const ThreadIndex& index, const Resource& resource, CauseDraft& draft) {
  std::vector<Node> timed;
  for (const Node waiter : resource.waiters) {
    const std::optional<Wait>& wait = index.finding(waiter).wait;
    if (wait && wait->timeout == std::optional(false)) {
      draft.nodes.push_back(waiter);
    } else {
      timed.push_back(waiter);
    }
  }
  if (draft.nodes.empty()) {
    draft.nodes = timed;
    for (const Node waiter : timed) draft.grade.add_limit(index.finding(waiter).wait);
  }
  for (const Node waiter : draft.nodes) {
    const std::optional<Wait>& wait = index.finding(waiter).wait;
    if (wait) draft.grade.add(wait->certainty);
    if (!index.joined(waiter).held()) draft.grade.add(Certainty::likely);
  }
  // A lock with a name is the same one whoever waits for it at the moment.
  draft.fingerprinted = {draft.nodes.front()};
  if (resource.name.empty()) draft.fingerprinted = draft.nodes;
}

bool is_native(const Resource& resource) {
  return resource.kind == "pthread-mutex" || resource.kind == "pthread-rwlock";
}

void add_gone_owner(CauseList& causes, const JudgedProcess& process, const Resource& resource) {
  if (!is_owner_gone(resource)) return;
  CauseDraft draft;
  draft.kind = resource.owner_state == OwnerState::before_fork ? "fork-orphan" : "owner-exited";
  draft.resource = &resource;
  draft.resources = {resource.id};
  draft.grade.certainty = resource.owner_certainty;
  // A native lock's owner is a tid, and the thread that forked has another one in the child: it may be the
  // owner and live.
  if (is_native(resource) && process.snapshot->process.forked_from) {
    draft.kind = "fork-orphan";
    draft.grade.add(Certainty::likely);
  }
  add_waiters(causes.index(), resource, draft);
  causes.add(draft);
}

// Of a thread whose own frames say more of it than that they refer to it.
bool has_suspects(const Resource& resource) {
  return std::any_of(resource.candidates.begin(), resource.candidates.end(),
                     [](const Candidate& each) { return each.evidence.rule != "mentioned"; });
}

// A lock that is locked, in a process that began as a fork, and that no thread is seen to hold, while all of
// them wait for each other: most likely one that had it was not copied. Where a thread may still go on, it
// may be the one that took it, after the fork and in a call that has returned, and will release it. An
// RLock's owner field alone says little here, for a new thread of the child gets the ident of one that stayed
// behind.
void add_orphan(CauseList& causes, const JudgedProcess& process, const Resource& resource) {
  if (!process.snapshot->process.forked_from || !resource.locked.value_or(false)) return;
  if ((resource.kind != "Lock" && resource.kind != "RLock") || resource.waiters.empty()) return;
  if (is_owner_gone(resource) || has_suspects(resource) || !is_standstill(process)) return;
  if (resource.owner ? resource.owner_certainty > Certainty::recorded : resource.kind == "RLock") return;
  for (const Node waiter : resource.waiters) {
    const std::optional<Wait>& wait = causes.index().finding(waiter).wait;
    if (causes.explains(waiter) || !wait || (wait->kind != "lock" && wait->kind != "rlock")) return;
    if (!causes.index().joined(waiter).held()) return;
  }
  CauseDraft draft;
  draft.kind = "fork-orphan";
  draft.resource = &resource;
  draft.resources = {resource.id};
  draft.grade.certainty = Certainty::likely;
  add_waiters(causes.index(), resource, draft);
  causes.add(draft);
}

}  // namespace

void find_gone_owner_causes(CauseList& causes) {
  for (const JudgedProcess& process : causes.processes()) {
    for (const Resource& resource : process.findings->resources) {
      add_gone_owner(causes, process, resource);
      add_orphan(causes, process, resource);
    }
  }
}

}  // namespace pythreads::report
