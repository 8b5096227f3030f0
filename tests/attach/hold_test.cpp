// Attachment on live processes: what is read while they stand, and that they go on as if nothing had been.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "attach/attachment.h"
#include "tests/attach/hold_target.h"
#include "tests/support/spawned_process.h"

namespace pythreads::attach {
namespace {

using tests::Shared;
using tests::SpawnedProcess;
using namespace std::chrono_literals;

std::string status_field(pid_t pid, pid_t tid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  }
  return "";
}

std::vector<pid_t> tids_of(pid_t pid) {
  std::vector<pid_t> tids;
  DIR* folder = ::opendir(("/proc/" + std::to_string(pid) + "/task").c_str());
  if (folder == nullptr) return tids;
  while (const dirent* entry = ::readdir(folder)) {
    if (const int tid = std::atoi(entry->d_name); tid > 0) tids.push_back(tid);
  }
  ::closedir(folder);
  return tids;
}

// A machine that runs many tests at once may let a thread wait long for a processor.
HoldOptions patient() {
  HoldOptions options;
  options.stop_bound = 5s;
  options.pause_budget = 20s;
  return options;
}

class HoldTest : public testing::Test {
 protected:
  // False: the target said why it can't be in this situation.
  bool start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), HOLD_TARGET);
    target_ = std::make_unique<SpawnedProcess>(std::move(arguments));
    const std::optional<std::string> line = target_->read_line();
    if (!line) {
      ADD_FAILURE() << "the target said nothing";
      return false;
    }
    char* end = nullptr;
    shared_ = Address(std::strtoull(line->c_str(), &end, 16));
    said_ = *line;
    return *end == '\0';
  }

  pid_t pid() const { return target_->pid(); }

  Attachment prepare() {
    Result<Attachment> attachment = Attachment::prepare(pid());
    if (!attachment) {
      ADD_FAILURE() << attachment.error().message;
      std::abort();
    }
    return std::move(*attachment);
  }

  std::uint64_t counter(Memory& memory, int index) {
    const Result<std::uint64_t> value = memory.read_value<std::uint64_t>(
        shared_ + offsetof(Shared, counters) + 8 * static_cast<unsigned>(index));
    EXPECT_TRUE(value) << value.error().message;
    return value ? *value : 0;
  }

  // No thread is traced or stopped, and the counters given count.
  void expect_goes_on(const std::vector<int>& counters) {
    Attachment attachment = prepare();
    std::map<int, std::uint64_t> first;
    for (const int index : counters) first[index] = counter(*attachment.target().memory, index);
    for (const int index : counters) {
      const auto deadline = std::chrono::steady_clock::now() + 10s;
      while (counter(*attachment.target().memory, index) == first[index] &&
             std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(1ms);
      }
      EXPECT_NE(counter(*attachment.target().memory, index), first[index])
          << "counter " << index << " stands";
    }
    for (const pid_t tid : tids_of(pid())) {
      const std::string tracer = status_field(pid(), tid, "TracerPid");
      const std::string state = status_field(pid(), tid, "State");
      EXPECT_TRUE(tracer.empty() || tracer == "0") << tid << ": " << tracer;
      EXPECT_TRUE(state.empty() || (state[0] != 't' && state[0] != 'T')) << tid << ": " << state;
    }
  }

  std::unique_ptr<SpawnedProcess> target_;
  Address shared_;
  std::string said_;
};

TEST_F(HoldTest, AllThreadsStandStillAndAreRead) {
  ASSERT_TRUE(start({"threads", "20"}));
  Attachment attachment = prepare();
  const Result<StopReport> report = attachment.hold(patient(), [this](Target& held) {
    EXPECT_EQ(held.threads.size(), 21u);
    EXPECT_EQ(held.threads.front().tid, pid());
    std::vector<std::uint64_t> first;
    for (int i = 0; i < 20; ++i) first.push_back(counter(*held.memory, i));
    std::this_thread::sleep_for(20ms);
    // Another Attachment reads what is there now.
    Attachment other = prepare();
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(counter(*other.target().memory, i), first[static_cast<std::size_t>(i)]);
    }
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->stopped);
  EXPECT_GT(report->pause_ms, 20.0);
  EXPECT_LT(report->pause_ms, 5000.0);
  EXPECT_FALSE(report->budget_passed);
  EXPECT_TRUE(report->disturbed.empty());
  int futexes = 0;
  std::set<std::uint64_t> bases;
  for (const ThreadState& thread : attachment.target().threads) {
    EXPECT_EQ(thread.outcome, StopOutcome::held);
    EXPECT_EQ(thread.gap, "");
    ASSERT_TRUE(thread.registers);
    bases.insert(thread.registers->pthread_self);
    EXPECT_TRUE(thread.stack.contains(thread.registers->sp()));
    // The stack is in the frozen pages, to its end.
    std::vector<std::byte> stack(thread.stack.size);
    EXPECT_TRUE(attachment.target().memory->read(thread.stack.begin, stack));
    if (thread.kernel_wait && thread.kernel_wait->number == SYS_futex) ++futexes;
  }
  EXPECT_EQ(bases.size(), 21u);
  EXPECT_EQ(futexes, 10);
  expect_goes_on({0, 2, 4, 18});
}

TEST_F(HoldTest, WhatWasRehearsedIsReadAnewAtTheStop) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  std::uint64_t rehearsed = 0;
  std::size_t sleepers = 0;
  const Result<StopReport> report = attachment.hold(
      patient(), [](Target&) {},
      [&](Target& running) {
        rehearsed = counter(*running.memory, 0);
        for (const ThreadState& thread : running.threads) sleepers += thread.stack.size > 0 ? 1 : 0;
        std::this_thread::sleep_for(20ms);
        EXPECT_EQ(counter(*running.memory, 0), rehearsed) << "a walk sees one moment";
      });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GE(sleepers, 2u);
  // `read` asked for nothing, and yet it is there, as it was at the stop and not before.
  const std::uint64_t held = counter(*attachment.target().memory, 0);
  EXPECT_GT(held, rehearsed);
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(counter(*attachment.target().memory, 0), held);
  for (const ThreadState& thread : attachment.target().threads) {
    EXPECT_EQ(thread.gap, "");
    EXPECT_TRUE(thread.registers && thread.stack.contains(thread.registers->sp()));
    EXPECT_FALSE(thread.futex && thread.futex->around.empty());
  }
  expect_goes_on({0, 2});
}

TEST_F(HoldTest, AfterTheReleaseOnlyThePagesOfTheStopAreThere) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  std::uint64_t held_value = 0;
  const Result<StopReport> report =
      attachment.hold(patient(), [&](Target& held) { held_value = counter(*held.memory, 0); });
  ASSERT_TRUE(report) << report.error().message;
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(counter(*attachment.target().memory, 0), held_value);
  EXPECT_EQ(counter(*attachment.target().lasting, 0), held_value);
  const Mapping* unread = nullptr;
  for (const Mapping& mapping : attachment.target().mappings) {
    if (mapping.readable && mapping.path == HOLD_TARGET) unread = &mapping;
    if (unread != nullptr) break;
  }
  ASSERT_NE(unread, nullptr);
  EXPECT_FALSE(attachment.target().memory->read_value<std::uint32_t>(unread->range.begin));
  const Result<std::uint32_t> elf =
      attachment.target().lasting->read_value<std::uint32_t>(unread->range.begin);
  ASSERT_TRUE(elf) << elf.error().message;
  EXPECT_EQ(*elf, 0x464c457fu);
}

TEST_F(HoldTest, EachHoldIsANewLook) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  std::set<std::uint64_t> values;
  for (int i = 0; i < 20; ++i) {
    const Result<StopReport> report =
        attachment.hold(patient(), [&](Target& held) { values.insert(counter(*held.memory, 0)); });
    ASSERT_TRUE(report) << report.error().message;
    const std::uint64_t before = *values.rbegin();
    Attachment now = prepare();
    while (counter(*now.target().memory, 0) == before) std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(values.size(), 20u);
  expect_goes_on({0, 2});
}

TEST_F(HoldTest, WithoutAStopTheTargetRunsOn) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  HoldOptions options;
  options.stop = false;
  const Result<StopReport> report = attachment.hold(options, [this](Target& live) {
    const std::uint64_t first = counter(*live.memory, 0);
    Attachment other = prepare();
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (counter(*other.target().memory, 0) == first && std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_NE(counter(*other.target().memory, 0), first);
    EXPECT_EQ(status_field(pid(), pid(), "TracerPid"), "0");
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->stopped);
  int futexes = 0;
  for (const ThreadState& thread : attachment.target().threads) {
    EXPECT_EQ(thread.outcome, StopOutcome::not_tried);
    EXPECT_FALSE(thread.registers);
    EXPECT_NE(thread.gap, "");
    if (thread.kernel_wait && thread.kernel_wait->number == SYS_futex) ++futexes;
  }
  EXPECT_EQ(futexes, 2) << "from the files of the threads";
}

TEST_F(HoldTest, AStoppedTargetIsReadAndStaysStopped) {
  ASSERT_TRUE(start({"threads", "6"}));
  ASSERT_EQ(::kill(pid(), SIGSTOP), 0);
  const auto all_stopped = [this] {
    for (const pid_t tid : tids_of(pid())) {
      if (status_field(pid(), tid, "State")[0] != 'T') return false;
    }
    return true;
  };
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!all_stopped() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  Attachment attachment = prepare();
  for (int i = 0; i < 3; ++i) {
    const Result<StopReport> report =
        attachment.hold(patient(), [this](Target& held) { counter(*held.memory, 0); });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->disturbed.empty());
    for (const ThreadState& thread : attachment.target().threads) {
      EXPECT_EQ(thread.outcome, StopOutcome::already_stopped);
      EXPECT_TRUE(thread.registers);
      EXPECT_EQ(thread.state, 'T');
    }
    std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(all_stopped());
  }
  ASSERT_EQ(::kill(pid(), SIGCONT), 0);
  expect_goes_on({0, 2, 4});
}

TEST_F(HoldTest, NoSignalIsLost) {
  ASSERT_TRUE(start({"signals"}));
  Attachment attachment = prepare();
  constexpr int number = 3000;
  std::thread sender([this] {
    for (int i = 0; i < number; ++i) {
      while (::sigqueue(pid(), SIGRTMIN, sigval{}) != 0) std::this_thread::sleep_for(1ms);
      if (i % 10 == 0) std::this_thread::sleep_for(200us);
    }
  });
  int holds = 0;
  const Address handled = shared_ + offsetof(Shared, signals);
  const auto signals = [&] {
    Attachment now = prepare();
    return now.target().memory->read_value<std::uint64_t>(handled).value_or(0);
  };
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  do {
    const Result<StopReport> report = attachment.hold(patient(), [](Target&) {});
    ASSERT_TRUE(report) << report.error().message;
    ++holds;
  } while (signals() < number && std::chrono::steady_clock::now() < deadline);
  sender.join();
  EXPECT_EQ(signals(), static_cast<std::uint64_t>(number));
  EXPECT_GT(holds, 0);
  expect_goes_on({0, 1, 2, 3, 4});
}

TEST_F(HoldTest, ThreadsThatComeAndGoAreAllHeldOrAccountedFor) {
  ASSERT_TRUE(start({"churn"}));
  Attachment attachment = prepare();
  for (int i = 0; i < 100; ++i) {
    const Result<StopReport> report = attachment.hold(patient(), [this](Target& held) {
      std::vector<std::uint64_t> first;
      for (int c = 0; c < 4; ++c) first.push_back(counter(*held.memory, c));
      std::set<pid_t> listed;
      for (const ThreadState& thread : held.threads) {
        if (thread.is_held()) listed.insert(thread.tid);
      }
      for (const pid_t tid : tids_of(pid())) {
        const std::string state = status_field(pid(), tid, "State");
        // What is dead and not yet reaped by its tracer is listed as well.
        EXPECT_TRUE(listed.contains(tid) || state.empty() || state[0] == 'Z' || state[0] == 'X')
            << tid << " " << state;
      }
    });
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->gaps.empty()) << report->gaps.front();
  }
  expect_goes_on({0, 1, 2, 3});
}

TEST_F(HoldTest, AThreadInUninterruptibleSleepIsLeftAndSaid) {
  ASSERT_TRUE(start({"vfork"}));
  Attachment attachment = prepare();
  const Result<StopReport> report = attachment.hold(patient(), [](Target&) {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(report->pause_ms, 100.0);
  int unstoppable = 0;
  for (const ThreadState& thread : attachment.target().threads) {
    if (thread.outcome != StopOutcome::unstoppable) continue;
    ++unstoppable;
    EXPECT_EQ(thread.state, 'D');
    EXPECT_FALSE(thread.registers);
    EXPECT_NE(thread.gap, "");
  }
  EXPECT_EQ(unstoppable, 1);
  expect_goes_on({0, 1, 2});
  // It must not stop later, when its sleep ends: nobody would let it go.
  ASSERT_TRUE(target_->write("x"));
  std::this_thread::sleep_for(50ms);
  expect_goes_on({0, 1, 2, 3});
}

// Takes a processor for itself for a while, ahead of all that is not real-time, in a process of its own.
class Hog {
 public:
  Hog(int processor, std::chrono::milliseconds time) {
    int ready[2] = {-1, -1};
    if (::pipe(ready) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(processor), &one);
      const sched_param priority{10};
      const bool first = ::sched_setaffinity(0, sizeof one, &one) == 0 &&
                         ::sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
      static_cast<void>(!::write(ready[1], first ? "1" : "0", 1));
      const auto end = std::chrono::steady_clock::now() + time;
      while (first && std::chrono::steady_clock::now() < end) {
      }
      ::_exit(0);
    }
    char answer = '0';
    has_it_ = ::read(ready[0], &answer, 1) == 1 && answer == '1';
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Hog() {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

  bool has_it() const { return has_it_; }

 private:
  pid_t pid_ = -1;
  bool has_it_ = false;
};

TEST_F(HoldTest, AThreadThatWaitsForAProcessorIsWaitedFor) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "there is one processor, and we need it";
  int taken = 0;
  while (!CPU_ISSET(static_cast<unsigned>(taken), &all)) ++taken;
  cpu_set_t theirs;
  CPU_ZERO(&theirs);
  CPU_SET(static_cast<unsigned>(taken), &theirs);
  cpu_set_t ours = all;
  CPU_CLR(static_cast<unsigned>(taken), &ours);

  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  for (const pid_t tid : tids_of(pid())) ASSERT_EQ(::sched_setaffinity(tid, sizeof theirs, &theirs), 0);
  ASSERT_EQ(::sched_setaffinity(0, sizeof ours, &ours), 0);
  HoldOptions options;
  options.stop_bound = 20ms;
  options.pause_budget = 20s;
  Result<StopReport> report = StopReport{};
  {
    const Hog hog(taken, 400ms);
    if (hog.has_it()) report = attachment.hold(options, [](Target&) {});
    ASSERT_EQ(::sched_setaffinity(0, sizeof all, &all), 0);
    if (!hog.has_it()) GTEST_SKIP() << "real-time scheduling is refused here";
  }
  ASSERT_TRUE(report) << report.error().message;
  for (const ThreadState& thread : attachment.target().threads) {
    EXPECT_EQ(thread.outcome, StopOutcome::held) << thread.tid << ": " << thread.gap;
  }
  RecordProperty("pause_ms", std::to_string(report->pause_ms));
  expect_goes_on({0, 2});
}

TEST_F(HoldTest, ThePauseBudgetHoldsThoughAReaderHangs) {
  if (!start({"userfault"})) GTEST_SKIP() << said_;
  Attachment attachment = prepare();
  HoldOptions options;
  options.pause_budget = 100ms;
  Result<std::uint64_t> word = std::uint64_t{0};
  Result<std::uint64_t> late = std::uint64_t{0};
  const Result<StopReport> report = attachment.hold(options, [&](Target& held) {
    const Result<std::uint64_t> page =
        held.memory->read_value<std::uint64_t>(shared_ + offsetof(Shared, page));
    ASSERT_TRUE(page);
    word = held.memory->read_value<std::uint64_t>(Address(*page));
    late = held.memory->read_value<std::uint64_t>(shared_ + 8192);
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->budget_passed);
  EXPECT_GE(report->pause_ms, 99.0);
  EXPECT_LT(report->pause_ms, 300.0);
  ASSERT_FALSE(report->gaps.empty());
  EXPECT_FALSE(word) << "it came when the target ran again";
  EXPECT_FALSE(late);
  expect_goes_on({0, 1, 2, 4});
}

TEST_F(HoldTest, AProcessWhoseLeaderHasEndedIsRead) {
  ASSERT_TRUE(start({"leader_ends"}));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (status_field(pid(), pid(), "State")[0] != 'Z' && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  Attachment attachment = prepare();
  const Result<StopReport> report =
      attachment.hold(patient(), [this](Target& held) { counter(*held.memory, 0); });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(report->pause_ms, 100.0);
  int held = 0;
  for (const ThreadState& thread : attachment.target().threads) {
    held += thread.is_held();
    EXPECT_EQ(thread.outcome == StopOutcome::exited, thread.tid == pid());
  }
  EXPECT_EQ(held, 3);
  Attachment again = prepare();
  const std::uint64_t first = counter(*again.target().memory, 0);
  std::this_thread::sleep_for(50ms);
  EXPECT_NE(counter(*again.target().memory, 0), first);
}

// An execve in the target kills its other threads, waits until they are reaped, and they are ours.
TEST_F(HoldTest, AnExecveMeanwhileDoesNotHang) {
  ASSERT_TRUE(start({"execs"}));
  int held = 0;
  int ended = 0;
  // On a busy machine most looks come upon an execve: then more are taken.
  const auto latest = std::chrono::steady_clock::now() + 90s;
  for (int i = 0; i < 300 || (held <= 10 && std::chrono::steady_clock::now() < latest); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Result<Attachment> attachment = Attachment::prepare(pid());
    if (!attachment) {
      ++ended;
      continue;
    }
    const Result<StopReport> report = attachment->hold(patient(), [](Target&) {});
    if (report) {
      ++held;
      EXPECT_LT(report->pause_ms, 5000.0);
    } else {
      ++ended;
      EXPECT_EQ(report.error().code, ErrorCode::process_ended) << report.error().message;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  }
  EXPECT_GT(held, 10);
  RecordProperty("held", held);
  RecordProperty("ended", ended);
  EXPECT_EQ(::kill(pid(), 0), 0);
}

TEST_F(HoldTest, AnotherTracerIsNamed) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  int ready[2] = {-1, -1};
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t tracer = ::fork();
  if (tracer == 0) {
    for (const pid_t tid : tids_of(pid())) ::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr);
    static_cast<void>(!::write(ready[1], "x", 1));
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const Result<StopReport> report = attachment.hold(patient(), [](Target&) { FAIL() << "it is not ours"; });
  ::kill(tracer, SIGKILL);
  ::waitpid(tracer, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::already_traced) << report.error().message;
  const Result<StopReport> again = attachment.hold(patient(), [](Target&) {});
  EXPECT_TRUE(again);
  expect_goes_on({0, 2});
}

TEST_F(HoldTest, AnEndMeanwhileIsAnError) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  const pid_t gone = pid();
  target_.reset();
  const Result<StopReport> report =
      attachment.hold(patient(), [](Target&) { FAIL() << "there is nothing to read"; });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::process_ended) << report.error().message;
  const Result<Attachment> again = Attachment::prepare(gone);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::no_such_process) << again.error().message;
}

// Killed while it is held: the kernel takes it from us, and its parent gets its status.
TEST_F(HoldTest, AKillWhileHeldGoesThrough) {
  ASSERT_TRUE(start({"threads", "4"}));
  Attachment attachment = prepare();
  const Result<StopReport> report = attachment.hold(patient(), [this](Target&) {
    ASSERT_EQ(::kill(pid(), SIGKILL), 0);
    std::this_thread::sleep_for(50ms);
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_LT(report->pause_ms, 500.0);
}

}  // namespace
}  // namespace pythreads::attach
