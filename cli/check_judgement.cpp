#include "cli/check_judgement.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cli/movement.h"

namespace pythreads::cli {
namespace {

using report::Findings;
using report::Status;
using report::ThreadFinding;
using report::Verdict;

std::string_view level_word(CheckLevel level) {
  switch (level) {
    case CheckLevel::ok:
      return "OK";
    case CheckLevel::warning:
      return "WARNING";
    case CheckLevel::critical:
      return "CRITICAL";
    case CheckLevel::unknown:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

std::string_view verdict_word(Verdict verdict) {
  switch (verdict) {
    case Verdict::running:
      return "running";
    case Verdict::waiting:
      return "waiting";
    case Verdict::unknown:
      return "unknown";
    case Verdict::stalled:
      return "stalled";
    case Verdict::possible_deadlock:
      return "possible-deadlock";
    case Verdict::deadlock:
      return "deadlock";
  }
  return "unknown";
}

CheckLevel level_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::deadlock:
      return CheckLevel::critical;
    case Verdict::possible_deadlock:
    case Verdict::stalled:
      return CheckLevel::warning;
    case Verdict::unknown:
      return CheckLevel::unknown;
    case Verdict::running:
    case Verdict::waiting:
      break;
  }
  return CheckLevel::ok;
}

const ThreadFinding* find_thread(const Findings& findings, report::Node node) {
  for (const report::ProcessFindings& process : findings.processes) {
    for (const ThreadFinding& thread : process.threads) {
      if (thread.node == node) return &thread;
    }
  }
  return nullptr;
}

// Blocked by something that another thread of the process should give.
bool is_suspect(const Findings& findings, const ThreadFinding& thread) {
  if (thread.status != Status::blocked || !thread.wait || thread.wait->timeout.value_or(false)) return false;
  const std::string& kind = thread.wait->kind;
  if (kind == "gil") return false;
  if (kind != "join" && kind != "shutdown" && kind != "handle") return true;
  const ThreadFinding* target = thread.wait->target ? find_thread(findings, *thread.wait->target) : nullptr;
  return target != nullptr && target->status == Status::blocked && is_suspect(findings, *target);
}

// What a resource is in two looks, whose ids are of each look alone.
std::pair<std::string, attach::Address> identity_of(const CheckLook& look, const std::string& id) {
  for (const report::Resource& each : look.findings->processes.front().resources) {
    if (each.id == id) return {each.kind, each.address};
  }
  return {};
}

attach::Address waited_for(const CheckLook& look, const ThreadFinding& thread) {
  if (!thread.wait || !thread.wait->resource) return {};
  return identity_of(look, *thread.wait->resource).second;
}

const report::SnapshotThread* os_thread(const CheckLook& look, report::Node node) {
  for (const report::SnapshotThread& each : look.snapshot->threads) {
    if (each.os.tid == node.tid) return &each;
  }
  return nullptr;
}

bool stood_still(const CheckLook& before, const CheckLook& now, report::Node node) {
  const report::SnapshotThread* first = os_thread(before, node);
  const report::SnapshotThread* second = os_thread(now, node);
  return first != nullptr && second != nullptr && is_unmoved(run_counts(first->os), run_counts(second->os));
}

// In the same wait, for the same thing.
bool waited_still(const CheckLook& before, const CheckLook& now, const ThreadFinding& thread) {
  const ThreadFinding* then = find_thread(*before.findings, thread.node);
  if (then == nullptr || !then->wait || !thread.wait || then->wait->kind != thread.wait->kind) return false;
  if (waited_for(before, *then) != waited_for(now, thread)) return false;
  return stood_still(before, now, thread.node);
}

// Of the same kind, with all the threads and resources of before; more may have come.
bool is_same_cause(const CheckLook& before, const report::Cause& then, const CheckLook& now,
                   const report::Cause& cause) {
  if (then.kind != cause.kind) return false;
  const bool nodes = std::all_of(then.nodes.begin(), then.nodes.end(), [&](report::Node node) {
    return std::find(cause.nodes.begin(), cause.nodes.end(), node) != cause.nodes.end();
  });
  return nodes && std::all_of(then.resources.begin(), then.resources.end(), [&](const std::string& id) {
           return std::any_of(cause.resources.begin(), cause.resources.end(), [&](const std::string& each) {
             return identity_of(now, each) == identity_of(before, id);
           });
         });
}

// A thread that waits for the GIL wakes each few milliseconds to ask for it.
bool asks_for_gil(const CheckLook& look, report::Node node) {
  const ThreadFinding* thread = find_thread(*look.findings, node);
  return thread != nullptr && thread->wait && thread->wait->kind == "gil";
}

// What two looks have in common may still be two moments of a queue that moves: a thread of the cause that
// moved in between was not stuck in it. The links of a deadlock can't come undone, so it needs no such proof.
bool stands(const CheckLook& before, const CheckLook& now, const report::Cause& cause) {
  for (const report::Cause& then : before.findings->causes) {
    if (!is_same_cause(before, then, now, cause)) continue;
    if (cause.verdict == Verdict::deadlock && then.verdict == Verdict::deadlock) return true;
    return std::all_of(then.nodes.begin(), then.nodes.end(), [&](report::Node node) {
      return stood_still(before, now, node) || asks_for_gil(now, node);
    });
  }
  return false;
}

std::string line_of(CheckLevel level, pid_t pid, Verdict verdict, const std::string& what,
                    const std::string& fingerprint) {
  return std::string(level_word(level)) + " - process " + std::to_string(pid) + ": " +
         std::string(verdict_word(verdict)) + ": " + what +
         (fingerprint.empty() ? "" : " [" + fingerprint + ']');
}

}  // namespace

bool needs_another_look(const CheckLook& look) {
  const report::ProcessFindings& process = look.findings->processes.front();
  if (level_of(process.verdict) != CheckLevel::ok) return true;
  return std::any_of(process.threads.begin(), process.threads.end(),
                     [&](const ThreadFinding& thread) { return is_suspect(*look.findings, thread); });
}

CheckLine judge_check(std::span<const CheckLook> looks) {
  const CheckLook& last = looks.back();
  const report::ProcessFindings& process = last.findings->processes.front();
  const auto stands_in_all = [&](const report::Cause& cause) {
    return std::all_of(looks.begin(), looks.end() - 1,
                       [&](const CheckLook& look) { return stands(look, last, cause); });
  };
  for (const report::Cause& cause : last.findings->causes) {  // the gravest first
    const CheckLevel level = level_of(cause.verdict);
    if (level != CheckLevel::critical && level != CheckLevel::warning) continue;
    if (!stands_in_all(cause)) continue;
    const bool first = cause.fingerprint == process.fingerprint;
    return {level, line_of(level, process.pid, cause.verdict, first ? process.summary : cause.sentence,
                           cause.fingerprint)};
  }
  if (level_of(process.verdict) == CheckLevel::unknown) {
    const CheckLevel level = CheckLevel::unknown;
    const bool each = std::all_of(looks.begin(), looks.end(), [](const CheckLook& look) {
      return look.findings->processes.front().verdict == Verdict::unknown;
    });
    if (each) return {level, line_of(level, process.pid, process.verdict, process.summary, "")};
  }
  if (looks.size() > 1) {
    std::size_t count = 0;
    std::string first;
    for (const ThreadFinding& thread : process.threads) {
      if (!is_suspect(*last.findings, thread) || !waited_still(looks.front(), last, thread)) continue;
      if (count++ == 0) first = "thread " + std::to_string(thread.node.tid) + " (" + thread.wait->kind + ')';
    }
    if (count > 0) {
      const std::string what = std::to_string(count) +
                               (count == 1 ? " blocked thread has" : " blocked threads have") +
                               " not moved between two looks: " + first + (count > 1 ? " and others" : "");
      return {CheckLevel::warning, line_of(CheckLevel::warning, process.pid, process.verdict, what, "")};
    }
  }
  const bool passed = level_of(process.verdict) != CheckLevel::ok;
  return {CheckLevel::ok,
          line_of(CheckLevel::ok, process.pid, process.verdict,
                  process.summary + (passed ? "; it did not stand between two looks" : ""), "")};
}

CheckLine failed_check(pid_t pid, const std::string& message) {
  return {CheckLevel::unknown, "UNKNOWN - process " + std::to_string(pid) + ": " + message};
}

CheckLevel worst_of(std::span<const CheckLine> lines, FailOn fail_on) {
  constexpr std::array from_worst{CheckLevel::critical, CheckLevel::warning, CheckLevel::unknown};
  for (const CheckLevel level : from_worst) {
    if (level == CheckLevel::warning && fail_on == FailOn::critical) continue;
    if (level == CheckLevel::unknown && fail_on != FailOn::unknown) continue;
    const bool any =
        std::any_of(lines.begin(), lines.end(), [&](const CheckLine& line) { return line.level == level; });
    if (any) return level;
  }
  return CheckLevel::ok;
}

}  // namespace pythreads::cli
