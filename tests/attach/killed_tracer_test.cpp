// A tracer that is killed at each of its system calls, at the entry and at the exit, leaves no thread of its
// target stopped or traced. Random kills would miss the windows of microseconds that matter.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "attach/attachment.h"
#include "tests/attach/hold_target.h"
#include "tests/support/spawned_process.h"

namespace pythreads::tests {
namespace {

using attach::Address;
using attach::Attachment;
using attach::Result;
using namespace std::chrono_literals;

struct SupervisedRun {
  long calls = 0;  // stops at system calls after the marker
  int status = 0;  // of the holder
};

// The first argument of a getpriority(2) that means nothing, after which system calls are counted.
constexpr int marker = 0x70797468;

// Holds `target` once and reads some words.
[[noreturn]] void hold_once(pid_t target) {
  ::syscall(SYS_getpriority, marker, 0);
  Result<Attachment> attachment = Attachment::prepare(target);
  if (!attachment) ::_exit(1);
  attach::HoldOptions options;
  options.stop_bound = 5s;
  options.pause_budget = 20s;
  const Result<attach::StopReport> report = attachment->hold(options, [](attach::Target& held) {
    for (const attach::ThreadState& thread : held.threads) {
      if (thread.registers)
        static_cast<void>(held.memory->read_address(Address(thread.registers->pthread_self)));
    }
  });
  ::_exit(report ? 0 : 1);
}

// Does so in a child, and kills it at the `kill_at`-th stop (from 0; negative: never).
SupervisedRun supervise(pid_t target, long kill_at) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    hold_once(target);
  }
  SupervisedRun run;
  int status = 0;
  if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return run;
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
  std::set<pid_t> threads = {child};
  bool counting = false;
  for (;;) {
    const pid_t tid = ::waitpid(-1, &status, __WALL);
    if (tid < 0) break;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      threads.erase(tid);
      if (tid == child) {
        run.status = status;
        break;
      }
      continue;
    }
    if (!WIFSTOPPED(status)) continue;
    threads.insert(tid);
    long signal = 0;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      if (!counting) {
        user_regs_struct registers{};
        ::ptrace(PTRACE_GETREGS, tid, nullptr, &registers);
        counting = registers.orig_rax == SYS_getpriority && registers.rdi == static_cast<unsigned>(marker);
      }
      if (counting && run.calls++ == kill_at) {
        ::kill(child, SIGKILL);
        continue;
      }
    } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP) {
      signal = WSTOPSIG(status);
    }
    ::ptrace(PTRACE_SYSCALL, tid, nullptr, signal);
  }
  return run;
}

std::string status_of(pid_t pid, pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/status");
  std::string found;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("TracerPid:\t") && line != "TracerPid:\t0") found += line + " ";
    if (line.starts_with("State:\tt") || line.starts_with("State:\tT")) found += line + " ";
  }
  return found;
}

TEST(KilledTracer, LeavesNoThreadStopped) {
  SpawnedProcess target({HOLD_TARGET, "threads", "3"});
  const std::optional<std::string> line = target.read_line();
  ASSERT_TRUE(line);
  const Address shared(std::strtoull(line->c_str(), nullptr, 16));
  Result<Attachment> attachment = Attachment::prepare(target.pid());
  ASSERT_TRUE(attachment) << attachment.error().message;
  std::vector<pid_t> tids;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(target.pid()) + "/task")) {
    tids.push_back(std::stoi(entry.path().filename()));
  }
  ASSERT_EQ(tids.size(), 4u);
  const auto counters = [&] {
    std::vector<std::uint64_t> values;
    for (const unsigned index : {0u, 2u}) {
      const Result<std::uint64_t> value = attachment->target().memory->read_value<std::uint64_t>(
          shared + offsetof(Shared, counters) + std::uint64_t{8} * index);
      values.push_back(value ? *value : 0);
    }
    return values;
  };

  const SupervisedRun whole = supervise(target.pid(), -1);
  ASSERT_TRUE(WIFEXITED(whole.status) && WEXITSTATUS(whole.status) == 0) << whole.status;
  ASSERT_GT(whole.calls, 50);
  long kills = 0;
  for (long at = 0;; ++at) {
    const SupervisedRun run = supervise(target.pid(), at);
    if (WIFEXITED(run.status)) break;  // there were not so many
    ++kills;
    ASSERT_TRUE(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGKILL) << run.status;
    for (const pid_t tid : tids) EXPECT_EQ(status_of(target.pid(), tid), "") << "killed at stop " << at;
    const std::vector<std::uint64_t> before = counters();
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    std::vector<std::uint64_t> after = before;
    while ((after[0] == before[0] || after[1] == before[1]) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(500us);
      after = counters();
    }
    ASSERT_NE(after[0], before[0]) << "killed at stop " << at;
    ASSERT_NE(after[1], before[1]) << "killed at stop " << at;
    ASSERT_LT(at, 5000);
  }
  // The number differs a little from run to run: waits are polled.
  EXPECT_GT(kills, whole.calls / 2);
  RecordProperty("kills", static_cast<int>(kills));
}

}  // namespace
}  // namespace pythreads::tests
