// The kinds of causes that analysis can find: the word of the contract, how grave one is, and which of them
// are not deadlocks but stalls. To add one, add a row here and the search for it in causes.cpp.
#pragma once

#include <array>
#include <string_view>

#include "report/analysis/findings.h"

namespace pythreads::report {

struct CauseKind {
  std::string_view kind;
  bool stall = false;     // no cycle, and yet nobody can run: never a deadlock
  std::string_view lead;  // how the sentence begins
};

inline constexpr std::array cause_kinds{
    CauseKind{"lock-cycle", false, "threads wait for each other in a cycle"},
    CauseKind{"self-deadlock", false, "a thread waits for what it holds itself"},
    CauseKind{"finalizer-reentry", false, "a finalizer waits for what the code that it interrupted holds"},
    CauseKind{"signal-reentry", false, "a signal handler waits for what the code that it interrupted holds"},
    CauseKind{"owner-exited", false, "the owner is gone"},
    CauseKind{"fork-orphan", false, "the owner stayed behind in the process that forked"},
    CauseKind{"join-cycle", false, "threads wait for each other's end in a cycle"},
    CauseKind{"import-cycle", false, "threads import each other's modules in a cycle"},
    CauseKind{"gil-native-cycle", false,
              "the GIL is waited for while a native lock is held, and the reverse"},
    CauseKind{"pool-starvation", false, "every worker of a pool waits for work that only the pool could do"},
    CauseKind{"loop-waits-on-itself", false,
              "an event loop's own thread waits for what only the loop could do"},
    CauseKind{"resource-exhausted", false, "every permit is held by a thread that waits for one"},
    CauseKind{"lost-wakeup", false, "who would wake a waiting thread waits for what that thread holds"},
    CauseKind{"gil-held-in-native", true, "the GIL is held inside a native call"},
    CauseKind{"loop-blocked", true, "an event loop's thread is blocked"},
    CauseKind{"shutdown-blocked", true, "the exit waits for a thread"},
    CauseKind{"contention", true, "a holder sleeps on the outside while others queue"},
};

constexpr const CauseKind* find_cause_kind(std::string_view kind) {
  for (const CauseKind& each : cause_kinds) {
    if (each.kind == kind) return &each;
  }
  return nullptr;
}

// What one cause alone would make of its process.
constexpr Verdict verdict_of(const Cause& cause) {
  const CauseKind* kind = find_cause_kind(cause.kind);
  if (kind != nullptr && kind->stall) return Verdict::stalled;
  const bool sure = cause.certainty >= Certainty::inferred && !cause.timed;
  return sure ? Verdict::deadlock : Verdict::possible_deadlock;
}

}  // namespace pythreads::report
