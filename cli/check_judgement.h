// What a monitoring agent is told of one process, from two looks at it a second apart: a pure function.
//
// A single look describes a moment, so what is not OK is looked at again, and told only if it still stands:
// the same cause with the same threads and resources (waiters may have come), and, but for a deadlock, none
// of these threads moved in between. Idle workers never move, and that is health; a thread that is blocked,
// by something else than the GIL, and moved in no look is a warning though no cause was found. Waiting for
// another thread's end is no reason to warn while that thread is not itself blocked.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "report/analysis/findings.h"
#include "report/snapshot.h"

namespace pythreads::cli {

enum class CheckLevel { ok = 0, warning = 1, critical = 2, unknown = 3 };
enum class FailOn { unknown, warning, critical };

struct CheckLine {
  CheckLevel level = CheckLevel::ok;
  std::string text;  // "CRITICAL - process 12: deadlock: … [fp1:…]"
};

// One look at one process.
struct CheckLook {
  const report::Snapshot* snapshot = nullptr;
  const report::Findings* findings = nullptr;  // of this process alone
};

// Whether one look is reason enough for another.
bool needs_another_look(const CheckLook& look);

// `looks` are of the same process, in their order; at least one.
CheckLine judge_check(std::span<const CheckLook> looks);

// The line of a process that could not be read.
CheckLine failed_check(pid_t pid, const std::string& message);

// The worst of all, by CRITICAL, WARNING, UNKNOWN, OK; what --fail-on says is not to fail is OK.
CheckLevel worst_of(std::span<const CheckLine> lines, FailOn fail_on);

}  // namespace pythreads::cli
