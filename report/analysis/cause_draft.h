// A cause before it is put into words: what the searches for causes hand to CauseList.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/analysis/findings.h"

namespace pythreads::report {

// How sure a cause is, and whether it ends by itself: as its weakest link.
struct Grade {
  Certainty certainty = Certainty::certain;
  bool timed = false;
  std::optional<double> ends_in_ms;  // of the first time limit that is known

  void add(Certainty link) {
    if (link < certainty) certainty = link;
  }
  // A wait of it that may end by a time limit.
  void add_limit(const std::optional<Wait>& wait) {
    timed = true;
    if (wait && wait->ends_in_ms && (!ends_in_ms || *wait->ends_in_ms < *ends_in_ms))
      ends_in_ms = wait->ends_in_ms;
  }
};

struct CauseDraft {
  std::string_view kind;            // a row of cause_kinds
  std::vector<Node> nodes;          // as they are printed
  std::vector<Node> cycle;          // in order, where it is a cycle: each waits for the next
  std::vector<Node> fingerprinted;  // whose waits make the fingerprint, where it is none
  std::vector<std::string> resources;
  const Resource* resource = nullptr;  // what it is all about, where there is one
  std::size_t waiters = 0;             // how many wait for that
  Grade grade;
  std::optional<Verdict> verdict;  // where it is not what the kind and the grade say
};

}  // namespace pythreads::report
