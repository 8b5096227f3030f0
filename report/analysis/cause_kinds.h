// The kinds of causes, the gravest first: the contract's word, what a cause of this kind makes of its process
// at most, and who puts it into words. To add one, add a row here and the search that finds it (causes.cpp
// names them all).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "report/analysis/cause_draft.h"
#include "report/analysis/cause_sentences.h"

namespace pythreads::report {

struct CauseKind {
  std::string_view kind;
  Verdict worst = Verdict::deadlock;  // stalled: no cycle, and yet nobody can run; never a deadlock
  CauseSentence sentence = nullptr;
};

inline constexpr std::array cause_kinds{
    CauseKind{"lock-cycle", Verdict::deadlock, cycle_sentence},
    CauseKind{"self-deadlock", Verdict::deadlock, self_sentence},
    CauseKind{"finalizer-reentry", Verdict::deadlock, self_sentence},
    CauseKind{"signal-reentry", Verdict::deadlock, self_sentence},
    CauseKind{"owner-exited", Verdict::deadlock, gone_owner_sentence},
    CauseKind{"fork-orphan", Verdict::deadlock, gone_owner_sentence},
    CauseKind{"gil-native-cycle", Verdict::deadlock, cycle_sentence},
    CauseKind{"import-cycle", Verdict::deadlock, cycle_sentence},
    CauseKind{"join-cycle", Verdict::deadlock, cycle_sentence},
    CauseKind{"pool-starvation", Verdict::deadlock, pool_sentence},
    CauseKind{"loop-waits-on-itself", Verdict::deadlock, cycle_sentence},
    CauseKind{"resource-exhausted", Verdict::deadlock, cycle_sentence},
    CauseKind{"lost-wakeup", Verdict::deadlock, cycle_sentence},
    CauseKind{"gil-held-in-native", Verdict::stalled, holder_sentence},
    CauseKind{"world-held-in-native", Verdict::stalled, world_sentence},
    CauseKind{"loop-blocked", Verdict::stalled, loop_sentence},
    CauseKind{"shutdown-blocked", Verdict::stalled, exit_sentence},
    CauseKind{"contention", Verdict::stalled, holder_sentence},
};

// The row's place, which is how grave the kind is. REQUIRES: there is such a row.
constexpr std::size_t place_of(std::string_view kind) {
  std::size_t place = 0;
  while (place < cause_kinds.size() && cause_kinds[place].kind != kind) ++place;
  return place;
}

// A deadlock is claimed only where every link is certain or inferred and none has a time limit.
constexpr Verdict verdict_of(const CauseKind& kind, const Grade& grade) {
  if (kind.worst != Verdict::deadlock) return kind.worst;
  const bool sure = grade.certainty >= Certainty::inferred && !grade.timed;
  return sure ? Verdict::deadlock : Verdict::possible_deadlock;
}

}  // namespace pythreads::report
