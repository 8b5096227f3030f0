// What a stop does to a thread that sleeps in each blocking system call: nothing, or what
// `StopReport::disturbed` says, and nothing else.
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "attach/attachment.h"
#include "tests/support/spawned_process.h"

namespace pythreads::attach {
namespace {

using tests::SpawnedProcess;
using namespace std::chrono_literals;

// The name of a situation of blocked_target, and what a stop does to it. All others go on undisturbed.
const std::map<std::string, std::string>& expected() {
  static const std::map<std::string, std::string> rows = {
      {"epoll_wait", "EINTR"},       {"epoll_pwait", "EINTR"},
      {"epoll_pwait2", "EINTR"},     {"semop", "EINTR"},
      {"semtimedop", "EINTR"},       {"rt_sigtimedwait", "EINTR"},
      {"io_getevents", "EINTR"},     {"io_uring_enter", "EINTR"},
      {"recvfrom_timeout", "EINTR"}, {"read_timeout", "EINTR"},
      {"recvmsg_timeout", "EINTR"},  {"sendto_timeout", "EINTR"},
      {"accept_timeout", "EINTR"},   {"accept4_timeout", "EINTR"},
      {"connect_timeout", "EINTR"},  {"write_pipe", "short"},
      {"writev_pipe", "short"},      {"write_socket", "short"},
      {"sendto", "short"},           {"sendmsg", "short"},
      {"sendfile", "short"},         {"recvfrom_waitall", "short"},
      {"recvmsg_waitall", "short"},  {"recvmmsg", "short"},
  };
  return rows;
}

std::string file(pid_t pid, const char* name) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/" + name);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// Asleep in the same call, twice in a row.
bool wait_until_asleep(pid_t pid) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  std::string before;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::string stat = file(pid, "stat");
    const std::string call = file(pid, "syscall");
    const std::size_t name_end = stat.rfind(')');
    if (name_end != std::string::npos && stat[name_end + 2] == 'S' && call == before) return true;
    before = call;
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

TEST(Disturbed, IsWhatAStopDoesAndNothingElse) {
  std::vector<std::string> names;
  {
    SpawnedProcess list({BLOCKED_TARGET, "list"});
    while (const std::optional<std::string> line = list.read_line()) {
      if (line->empty()) break;
      names.push_back(*line);
    }
  }
  ASSERT_GT(names.size(), 50u);
  std::set<std::string> missing;
  for (const auto& [name, effect] : expected()) missing.insert(name);

  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    missing.erase(name);
    SpawnedProcess target({BLOCKED_TARGET, name});
    const std::optional<std::string> said = target.read_line();
    ASSERT_TRUE(said);
    if (!said->starts_with("tid ")) {
      std::printf("left out: %s: %s\n", name.c_str(), said->c_str());
      continue;
    }
    ASSERT_TRUE(wait_until_asleep(target.pid()));
    Result<Attachment> attachment = Attachment::prepare(target.pid());
    ASSERT_TRUE(attachment) << attachment.error().message;
    const auto wanted = expected().find(name);
    long number = -1;
    // The second stop finds a thread that the first has made to start its call again.
    for (int stop = 1; stop <= 2; ++stop) {
      HoldOptions options;
      options.stop_bound = 5s;
      options.pause_budget = 20s;
      const Result<StopReport> report = attachment->hold(options, [](Target&) {});
      ASSERT_TRUE(report) << report.error().message;
      const ThreadState& thread = attachment->target().threads.front();
      std::optional<std::string> returned;
      if (wanted != expected().end()) {
        returned = target.read_line();
        ASSERT_EQ(report->disturbed.size(), 1u) << "and it " << returned.value_or("slept on");
        EXPECT_EQ(report->disturbed[0].tid, target.pid());
        EXPECT_EQ(report->disturbed[0].effect, wanted->second);
        EXPECT_TRUE(name.starts_with(report->disturbed[0].syscall) || name.starts_with("sendto"))
            << report->disturbed[0].syscall;
        ASSERT_TRUE(returned) << "said to be disturbed, and was not";
        EXPECT_EQ(*returned == "returned EINTR", wanted->second == "EINTR") << *returned;
        break;
      }
      returned = target.read_line(150ms);
      EXPECT_FALSE(returned) << "disturbed, and not said: " << *returned;
      EXPECT_TRUE(report->disturbed.empty()) << report->disturbed[0].syscall << report->disturbed[0].effect;
      ASSERT_TRUE(thread.kernel_wait) << "stop " << stop;
      EXPECT_NE(thread.kernel_wait->restart_code, 0);
      if (stop == 1) number = thread.kernel_wait->number;
      // By syscall(2), whose code names no number, and the kernel names no wait channel: it stays unknown.
      if (stop == 2 && name == "nanosleep" && thread.kernel_wait->number == SYS_restart_syscall) number = 219;
      EXPECT_EQ(thread.kernel_wait->number, number) << "stop " << stop;
      ASSERT_TRUE(wait_until_asleep(target.pid()));
    }
  }
  EXPECT_TRUE(missing.empty()) << *missing.begin();
}

}  // namespace
}  // namespace pythreads::attach
