// What all searches for causes work on: the processes, the edges that count, those between stuck threads; and
// where they put what they find.
#pragma once

#include <set>
#include <span>
#include <vector>

#include "report/analysis/cause_draft.h"
#include "report/analysis/cycles.h"
#include "report/analysis/thread_index.h"

namespace pythreads::report {

class CauseList {
 public:
  // REQUIRES: findings.edges.
  CauseList(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings);

  std::span<const JudgedProcess> processes() const { return processes_; }
  const ThreadIndex& index() const { return index_; }
  std::span<const Edge> edges() const { return edges_; }  // those that count, by `from`
  std::span<const Edge> stuck() const { return stuck_; }  // the same between stuck threads
  std::span<const Edge> stuck_from(Node node) const;
  // Who might end the waits of these threads; stuck as well, if these are.
  std::vector<Node> ways_out_of(std::span<const Node> nodes) const;

  const Reach& waits_for() const { return waits_for_; }  // along the edges between stuck threads

  // In a cause, or stuck behind one.
  bool explains(Node node) const { return explained_.contains(node); }

  void add_cycle(std::vector<Node> cycle) { findings_.cycles.push_back(std::move(cycle)); }
  void add(const CauseDraft& draft);
  void sort();  // the gravest first

 private:
  std::span<const JudgedProcess> processes_;
  const ThreadIndex& index_;
  Findings& findings_;
  std::vector<Edge> edges_;
  std::vector<WayOut> ways_out_;
  std::vector<Edge> stuck_;
  Reach waits_for_, stuck_behind_, all_behind_;
  std::set<Node> explained_;
};

// The resource's owner left and its waiters stay: it ended, or it was not copied by a fork.
bool is_owner_gone(const Resource& resource);

// Its thread sleeps at this moment, though a fact says that what it waited for is there: the lock is free,
// the future done.
bool is_over(const JoinedThread& thread, const Edge& edge, const Resource* resource);

}  // namespace pythreads::report
