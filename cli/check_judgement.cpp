#include "cli/check_judgement.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace pythreads::cli {
namespace {

using report::Findings;
using report::Status;
using report::ThreadFinding;
using report::Verdict;

// A stop makes its thread switch once or twice; what works switches far more often in a second.
constexpr std::uint64_t switches_of_a_stop = 8;

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

attach::Address waited_for(const CheckLook& look, const ThreadFinding& thread) {
  if (!thread.wait || !thread.wait->resource) return {};
  for (const report::Resource& each : look.findings->processes.front().resources) {
    if (each.id == *thread.wait->resource) return each.address;
  }
  return {};
}

const report::SnapshotThread* os_thread(const CheckLook& look, report::Node node) {
  for (const report::SnapshotThread& each : look.snapshot->threads) {
    if (each.os.tid == node.tid) return &each;
  }
  return nullptr;
}

// In the same wait, for the same thing, and hardly switched to in between.
bool stood_still(const CheckLook& before, const CheckLook& now, const ThreadFinding& thread) {
  const ThreadFinding* then = find_thread(*before.findings, thread.node);
  if (then == nullptr || !then->wait || !thread.wait || then->wait->kind != thread.wait->kind) return false;
  if (waited_for(before, *then) != waited_for(now, thread)) return false;
  const report::SnapshotThread* first = os_thread(before, thread.node);
  const report::SnapshotThread* second = os_thread(now, thread.node);
  if (first == nullptr || second == nullptr) return false;
  if (!first->os.switches || !second->os.switches) return true;
  return *second->os.switches - *first->os.switches <= switches_of_a_stop;
}

bool has_cause(const Findings& findings, const std::string& fingerprint) {
  return std::any_of(findings.causes.begin(), findings.causes.end(),
                     [&](const report::Cause& cause) { return cause.fingerprint == fingerprint; });
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
  const auto stands = [&](const std::string& fingerprint) {
    return std::all_of(looks.begin(), looks.end(),
                       [&](const CheckLook& look) { return has_cause(*look.findings, fingerprint); });
  };
  CheckLevel level = level_of(process.verdict);
  if (level == CheckLevel::critical || level == CheckLevel::warning) {
    if (stands(process.fingerprint))
      return {level, line_of(level, process.pid, process.verdict, process.summary, process.fingerprint)};
    level = CheckLevel::ok;
  }
  if (level == CheckLevel::unknown) {
    const bool each = std::all_of(looks.begin(), looks.end(), [](const CheckLook& look) {
      return look.findings->processes.front().verdict == Verdict::unknown;
    });
    if (each) return {level, line_of(level, process.pid, process.verdict, process.summary, "")};
  }
  if (looks.size() > 1) {
    std::size_t count = 0;
    std::string first;
    for (const ThreadFinding& thread : process.threads) {
      if (!is_suspect(*last.findings, thread) || !stood_still(looks.front(), last, thread)) continue;
      if (count++ == 0) first = "thread " + std::to_string(thread.node.tid) + " (" + thread.wait->kind + ')';
    }
    if (count > 0) {
      const std::string what = std::to_string(count) +
                               (count == 1 ? " blocked thread has" : " blocked threads have") +
                               " not moved between two looks: " + first + (count > 1 ? " and others" : "");
      return {CheckLevel::warning, line_of(CheckLevel::warning, process.pid, process.verdict, what, "")};
    }
  }
  return {CheckLevel::ok, line_of(CheckLevel::ok, process.pid, process.verdict, process.summary, "")};
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
