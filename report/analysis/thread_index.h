// Threads, resources and edges of all processes by what names them, and how sentences speak of them. Shared
// by all that judges.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "report/analysis/findings.h"
#include "report/analysis/fingerprint.h"
#include "report/analysis/joined_threads.h"
#include "report/analysis/verdict.h"

namespace pythreads::report {

class ThreadIndex {
 public:
  ThreadIndex(std::span<const JudgedProcess> processes, std::span<const Edge> edges);

  bool knows(Node node) const { return places_.contains(node); }
  const ThreadFinding& finding(Node node) const;
  const JoinedThread& joined(Node node) const;
  const Resource* resource(const std::optional<std::string>& id) const;  // null: there is none
  const Edge* edge(Node from, Node to) const;  // the surest from one to the other; null: there is none

  // "\"worker\" (tid 12)"
  std::string label(Node node) const { return joined(node).label(); }
  // "bank.LOCK_A (Lock 0x7f…)", "Lock 0x7f…", "the GIL", "the end of \"worker\" (tid 12)"
  std::string label(const Resource* resource) const;
  // " at bank.py:21 in transfer": the innermost frame that is the program's own; empty if there is none.
  std::string place(Node node) const;
  static std::string place(const pyframes::PyFrame& frame);  // "cache.py:7"
  // ", which took it at bank.py:20 in transfer"; empty if that is not known.
  std::string taken(Node holder, const Resource* resource) const;
  CauseLink link(Node node) const;  // for the fingerprint

 private:
  struct Place {
    const JudgedProcess* process = nullptr;
    std::size_t index = 0;
  };
  std::map<Node, Place> places_;
  std::unordered_map<std::string, const Resource*> resources_;
  std::map<std::pair<Node, Node>, const Edge*> edges_;
};

// The innermost frame that is not of the standard library's synchronization; the innermost where all are.
// Null: it has none.
const pyframes::PyFrame* own_frame(const JoinedThread& thread);

}  // namespace pythreads::report
