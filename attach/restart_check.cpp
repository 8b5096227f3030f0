#include "attach/restart_check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "attach/kernel_wait.h"
#include "attach/proc_parse.h"
#include "attach/seccomp_filter.h"
#include "attach/stopped_threads.h"

namespace pythreads::attach {
namespace {

constexpr auto stop_bound = std::chrono::milliseconds(50);  // for the one thread
constexpr int most_tries = 3;                               // of threads that stand for the same sleepers
constexpr std::size_t most_groups = 4;                      // of threads with different filters

// All filters of a thread may have 2^18 / 8 instructions together (MAX_INSNS_PER_PATH).
constexpr std::size_t most_filters = 32'768;

// What is known of the filters of some threads; `unknown` says why where there is no answer.
struct Finding {
  FilterAnswer answer;
  std::string unknown;
};

bool is_filtered(const ThreadState& thread) {
  return thread.seccomp == SECCOMP_MODE_FILTER;
}

// A stopped one waits for SIGCONT, and a restart is before it whether we come or not.
bool is_stopped(const ThreadState& thread) {
  return thread.state == 'T' || thread.state == 't';
}

bool sleeps_until_restart(const ThreadState& thread) {
  return is_filtered(thread) && !is_stopped(thread) && thread.kernel_wait &&
         goes_on_by_restart(*thread.kernel_wait);
}

// How well a thread may be stopped to read its filters: 0 best. In these calls a stop changes nothing, and
// none of them goes on by restart_syscall. A running thread may enter one that does before it is stopped.
std::optional<int> rank(const ThreadState& thread) {
  if (!is_filtered(thread) || is_stopped(thread) || !thread.gap.empty()) return std::nullopt;
  if (!thread.kernel_wait) return thread.state == 'R' ? std::optional(2) : std::nullopt;
  if (thread.state != 'S' || goes_on_by_restart(*thread.kernel_wait)) return std::nullopt;
  switch (thread.kernel_wait->number) {
    case SYS_futex:
      return 0;
#ifdef SYS_pause
    case SYS_pause:
#endif
    case SYS_rt_sigsuspend:
    case SYS_wait4:
    case SYS_waitid:
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
    case SYS_ppoll:
      return 1;
    default:
      return std::nullopt;
  }
}

// Why we can't read filters at all; empty: we may be able to.
std::string hindrance() {
  const ScopedFd file(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  std::array<char, 8192> text;  // NOLINT: filled by read
  const ssize_t got = file.is_open() ? ::read(file.get(), text.data(), text.size()) : -1;
  const Status status = parse_status({text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))});
  if ((status.effective_capabilities.value_or(0) >> CAP_SYS_ADMIN & 1U) == 0) {
    return "reading it takes CAP_SYS_ADMIN";
  }
  if (status.seccomp.value_or(0) != 0) return "pythreads runs under a filter itself and may not read others";
  return "";
}

// Of a thread that stands. Index 0 is the filter that was installed last; ENOENT comes after the first one.
Finding read_filters(pid_t tid) {
  std::vector<sock_filter> program(BPF_MAXINSNS);
  Finding finding;
  for (std::size_t index = 0; index < most_filters; ++index) {
    const long count = ::ptrace(static_cast<__ptrace_request>(PTRACE_SECCOMP_GET_FILTER), tid,
                                reinterpret_cast<void*>(index), program.data());
    if (count < 0 && errno == ENOENT && index > 0) {
      if (!finding.answer) finding.unknown = "it decides by the arguments";
      return finding;
    }
    if (count < 0 || static_cast<std::size_t>(count) > program.size()) {
      return {std::nullopt, std::string("it could not be read: ") + std::strerror(errno)};
    }
    const FilterAnswer answer =
        run_filter(std::span(program).first(static_cast<std::size_t>(count)), SYS_restart_syscall);
    finding.answer = index == 0 ? answer : combine(finding.answer, answer);
  }
  return {std::nullopt, "it has more filters than Linux allows"};
}

// By a thread of ours, whose end lets the other go on whatever happens.
Finding stop_and_read(pid_t pid, int task, int stat, const ThreadState& thread) {
  Finding finding{std::nullopt, "no thread could be started to read it"};
  const ThreadBefore before{thread.tid, thread.state, -1};
  try {
    std::thread([&] {
      SeizedTids seized;
      StoppedThreads stopped(pid, task, stat, seized);
      if (const int error = stopped.stop_one(before, stop_bound); error != 0) {
        finding.unknown = std::string("it could not be read: ") + std::strerror(error);
        return;
      }
      const StopOutcome outcome = stopped.threads().back().outcome;
      if (outcome == StopOutcome::held || outcome == StopOutcome::already_stopped) {
        finding = read_filters(thread.tid);
      } else {
        finding.unknown = "the thread to read it from did not stop";
      }
    }).join();
  } catch (const std::system_error&) {
  }
  return finding;
}

// Of the threads that have as many filters as `like`.
Finding find_filters(const ProcDir& dir, int task, int stat, const std::vector<ThreadState>& threads,
                     const ThreadState& like) {
  if (!like.seccomp_filters) return {std::nullopt, "this kernel does not tell which threads share it"};
  std::vector<std::pair<int, pid_t>> candidates;
  for (const ThreadState& thread : threads) {
    if (thread.seccomp_filters != like.seccomp_filters) continue;
    if (const std::optional<int> how_well = rank(thread)) candidates.emplace_back(*how_well, thread.tid);
  }
  std::sort(candidates.begin(), candidates.end());
  Finding finding{std::nullopt, "every thread under it sleeps in such a call"};
  int tries = 0;
  for (const auto& [how_well, tid] : candidates) {
    if (tries == most_tries) break;
    // Where it is now, as short as can be before it is stopped.
    Result<ThreadState> now = dir.read_thread(tid);
    if (now) dir.read_status(*now);
    if (!now || now->seccomp_filters != like.seccomp_filters || rank(*now) != how_well) continue;
    ++tries;
    finding = stop_and_read(dir.pid(), task, stat, *now);
    if (finding.answer) break;
  }
  return finding;
}

std::string call_of(const ThreadState& thread) {
  return std::string(restarted_call_name(thread.kernel_wait->number)) + " (thread " +
         std::to_string(thread.tid) + ")";
}

std::string what_would_happen(std::uint32_t answer, const ThreadState& sleeper) {
  switch (answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_USER_NOTIF:
      return "a stop could make " + call_of(sleeper) + " fail";
    default:
      return "a stop could kill it in " + call_of(sleeper);
  }
}

}  // namespace

RestartCheck check_restart(const ProcDir& dir, int task, int stat, std::vector<ThreadState>& threads) {
  // Mostly nobody sleeps so under a filter, and then the others' filters don't matter.
  bool filtered = false;
  for (ThreadState& thread : threads) {
    if (!thread.kernel_wait || !goes_on_by_restart(*thread.kernel_wait)) continue;
    dir.read_status(thread);
    filtered = filtered || sleeps_until_restart(thread);
  }
  if (!filtered) return {};
  for (ThreadState& thread : threads) {
    if (!thread.seccomp) dir.read_status(thread);
  }
  // One sleeper of each number of filters, and the numbers that were seen to let the restart pass.
  std::map<std::optional<int>, const ThreadState*> sleepers;
  std::set<std::optional<int>> passed;
  for (const ThreadState& thread : threads) {
    if (!sleeps_until_restart(thread)) continue;
    if (!thread.kernel_wait->restarted) {
      sleepers.emplace(thread.seccomp_filters, &thread);
    } else if (thread.seccomp_filters) {
      passed.insert(thread.seccomp_filters);
    }
  }
  std::erase_if(sleepers, [&](const auto& group) { return passed.contains(group.first); });
  if (sleepers.empty()) return {};

  RestartCheck check;
  const std::string hindered = hindrance();
  std::size_t groups = 0;
  for (const auto& [filters, sleeper] : sleepers) {
    Finding finding{std::nullopt, hindered};
    if (hindered.empty() && ++groups > most_groups) finding.unknown = "its threads have many different ones";
    if (finding.unknown.empty()) finding = find_filters(dir, task, stat, threads, *sleeper);
    if (finding.answer && !lets_pass(*finding.answer)) {
      check.denied = true;
      check.gap = "its seccomp filter denies restart_syscall, so " +
                  what_would_happen(*finding.answer, *sleeper) + ": it was read without being stopped";
      return check;
    }
    if (!finding.answer && check.gap.empty()) {
      check.gap =
          "whether its seccomp filter lets " + call_of(*sleeper) +
          " go on after the stop (by restart_syscall, which the usual container filters allow) is not "
          "known: " +
          finding.unknown;
    }
  }
  return check;
}

}  // namespace pythreads::attach
