// Processes whose seccomp filter allows or denies restart_syscall: by it a sleep goes on after a stop, so a
// denial must be known before the stop.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "tests/support/spawned_process.h"

namespace pythreads::attach {
namespace {

using tests::SpawnedProcess;
using namespace std::chrono_literals;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Takes CAP_SYS_ADMIN out of our effective set for a while.
class WithoutSysAdmin {
 public:
  WithoutSysAdmin() {
    ::syscall(SYS_capget, &header_, before_);
    __user_cap_data_struct less[2] = {before_[0], before_[1]};
    less[0].effective &= ~(1U << CAP_SYS_ADMIN);
    ::syscall(SYS_capset, &header_, less);
  }
  ~WithoutSysAdmin() { ::syscall(SYS_capset, &header_, before_); }
  WithoutSysAdmin(const WithoutSysAdmin&) = delete;
  WithoutSysAdmin& operator=(const WithoutSysAdmin&) = delete;

  static bool is_needless() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct now[2]{};
    ::syscall(SYS_capget, &header, now);
    return (now[0].effective & (1U << CAP_SYS_ADMIN)) == 0;
  }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2]{};
};

class SeccompTest : public testing::Test {
 protected:
  void start(const std::string& filter, const std::string& call, const std::string& other) {
    target_ = std::make_unique<SpawnedProcess>(std::vector<std::string>{SECCOMP_TARGET, filter, call, other});
    const std::map<std::string, std::string> numbers = {
        {"poll", "7 "}, {"nanosleep", "35 "}, {"absolute", "230 "}, {"futex", "202 "}};
    wait_for_call(numbers.at(call));
    if (other == "parked" || other == "late") std::this_thread::sleep_for(50ms);
  }

  // Until the main thread is in the call whose line in `syscall` begins so.
  void wait_for_call(const std::string& begin) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!first_line("/proc/" + std::to_string(target_->pid()) + "/syscall").starts_with(begin)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it does not sleep in call " << begin;
      std::this_thread::sleep_for(1ms);
    }
  }

  StopReport hold() {
    HoldOptions options;
    options.stop_bound = 5s;
    options.pause_budget = 20s;
    Result<Attachment> attachment = Attachment::prepare(target_->pid());
    if (!attachment) {
      ADD_FAILURE() << attachment.error().message;
      return {};
    }
    bool was_read = false;
    Result<StopReport> report = attachment->hold(options, [&](Target&) { was_read = true; });
    EXPECT_TRUE(was_read);
    if (!report) {
      ADD_FAILURE() << report.error().message;
      return {};
    }
    return std::move(*report);
  }

  // The sleep that was looked at has gone on to its end.
  void expect_woke() { EXPECT_EQ(target_->read_line().value_or("it has ended"), "woke"); }

  void expect_stopped_silently(const StopReport& report) {
    EXPECT_TRUE(report.stopped);
    EXPECT_TRUE(report.gaps.empty()) << report.gaps.front();
  }

  void expect_denied(const StopReport& report, const std::string& effect) {
    EXPECT_FALSE(report.stopped);
    ASSERT_EQ(report.gaps.size(), 1u);
    EXPECT_NE(report.gaps[0].find("denies restart_syscall"), std::string::npos) << report.gaps[0];
    EXPECT_NE(report.gaps[0].find(effect), std::string::npos) << report.gaps[0];
  }

  void expect_unknown(const StopReport& report, const std::string& why) {
    EXPECT_TRUE(report.stopped);
    ASSERT_EQ(report.gaps.size(), 1u);
    EXPECT_NE(report.gaps[0].find("is not known: "), std::string::npos) << report.gaps[0];
    EXPECT_NE(report.gaps[0].find(why), std::string::npos) << report.gaps[0];
  }

  std::unique_ptr<SpawnedProcess> target_;
};

class PrivilegedSeccompTest : public SeccompTest {
 protected:
  void SetUp() override {
    if (WithoutSysAdmin::is_needless())
      GTEST_SKIP() << "filters are read with CAP_SYS_ADMIN, which is missing";
  }
};

TEST_F(PrivilegedSeccompTest, ADenialByKillIsNotStopped) {
  for (const char* call : {"poll", "nanosleep", "futex"}) {
    SCOPED_TRACE(call);
    start("kill", call, "parked");
    expect_denied(hold(), "kill it in " + std::string(call) + " ");
    expect_woke();
  }
}

TEST_F(PrivilegedSeccompTest, ADenialByTrapOrErrnoIsNotStopped) {
  start("trap", "poll", "parked");
  expect_denied(hold(), "kill it in poll ");
  expect_woke();
  start("errno", "poll", "parked");
  expect_denied(hold(), "make poll (thread " + std::to_string(target_->pid()) + ") fail");
  expect_woke();
}

TEST_F(PrivilegedSeccompTest, ARunningThreadStandsForTheSleepers) {
  start("kill", "poll", "spinning");
  expect_denied(hold(), "kill it in poll ");
  expect_woke();
  start("allow", "poll", "spinning");
  expect_stopped_silently(hold());
  expect_woke();
}

TEST_F(PrivilegedSeccompTest, AnAllowingFilterIsStopped) {
  for (const char* call : {"poll", "nanosleep", "futex"}) {
    SCOPED_TRACE(call);
    start("allow", call, "parked");
    expect_stopped_silently(hold());
    expect_woke();
  }
}

TEST_F(PrivilegedSeccompTest, WhatTheArgumentsDecideIsSaid) {
  start("argument", "poll", "parked");
  expect_unknown(hold(), "by the arguments");
  expect_woke();
}

TEST_F(PrivilegedSeccompTest, AThreadWithOtherFiltersStandsForNobody) {
  start("allow", "poll", "late");
  expect_unknown(hold(), "every thread under it");
  expect_woke();
}

// What is lost where nobody can be asked: that is why the report says it.
TEST_F(PrivilegedSeccompTest, ASleeperAloneIsStoppedAndSaid) {
  start("errno", "poll", "nobody");
  expect_unknown(hold(), "every thread under it");
  EXPECT_EQ(target_->read_line().value_or("it has ended"), "errno 1");
}

TEST_F(SeccompTest, ACallThatNeedsNoRestartIsStopped) {
  start("kill", "absolute", "parked");
  expect_stopped_silently(hold());
  expect_woke();
}

TEST_F(SeccompTest, WithoutAFilterNothingIsSaid) {
  start("none", "poll", "nobody");
  expect_stopped_silently(hold());
  expect_woke();
}

TEST_F(SeccompTest, WithoutTheCapabilityItIsStoppedAndSaid) {
  const WithoutSysAdmin reduced;
  start("allow", "poll", "parked");
  expect_unknown(hold(), "CAP_SYS_ADMIN");
  // Now it sleeps in restart_syscall, which nothing shows better than that.
  wait_for_call("219 ");
  expect_stopped_silently(hold());
  expect_woke();
}

}  // namespace
}  // namespace pythreads::attach
