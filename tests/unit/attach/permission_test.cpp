#include "attach/permission.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>

#include "tests/support/scoped_child.h"

namespace pythreads::attach {
namespace {

using tests::ScopedChild;

constexpr pid_t pid = 42;
constexpr std::uint64_t sys_ptrace = std::uint64_t{1} << CAP_SYS_PTRACE;

// An ordinary user's own process, and nothing that forbids it.
PtraceFacts ordinary() {
  PtraceFacts facts;
  facts.state = 'S';
  facts.target_uid = 1000;
  facts.proc_owner = 1000;
  facts.ids_are_ours = true;
  facts.same_user_namespace = true;
  facts.our_uid = 1000;
  facts.ptrace_works = true;
  return facts;
}

struct Reason {
  const char* name;
  void (*change)(PtraceFacts&);
  ErrorCode code;
  const char* says;
  const char* hint;  // empty: there must be none
};

const Reason reasons[] = {
    {"Ended", [](PtraceFacts& f) { f.exists = false; }, ErrorCode::process_ended, "has ended", ""},
    {"Zombie",
     [](PtraceFacts& f) {
       f.state = 'Z';
       f.parent_pid = 7;
     },
     ErrorCode::zombie, "its parent (pid 7)", ""},
    {"Ourselves", [](PtraceFacts& f) { f.is_ourselves = true; }, ErrorCode::not_permitted, "pythreads itself",
     ""},
    {"Kernel", [](PtraceFacts& f) { f.kernel_thread = true; }, ErrorCode::not_permitted, "kernel", ""},
    {"Traced",
     [](PtraceFacts& f) {
       f.tracer_pid = 99;
       f.tracer_name = "gdb";
     },
     ErrorCode::already_traced, "traced by gdb (pid 99)", "gdb (pid 99)"},
    {"Yama1", [](PtraceFacts& f) { f.yama_scope = 1; }, ErrorCode::not_permitted, "ptrace_scope is 1",
     "kernel.yama.ptrace_scope=0"},
    {"Yama2", [](PtraceFacts& f) { f.yama_scope = 2; }, ErrorCode::not_permitted, "ptrace_scope is 2",
     "sudo"},
    {"Yama3",
     [](PtraceFacts& f) {
       f.yama_scope = 3;
       f.our_capabilities = sys_ptrace;
     },
     ErrorCode::not_permitted, "ptrace_scope is 3", "started again"},
    {"Yama2BeforeTheTrialThatItMadeFail",
     [](PtraceFacts& f) {
       f.yama_scope = 2;
       f.ptrace_works = false;
       f.we_are_filtered = true;
     },
     ErrorCode::not_permitted, "ptrace_scope is 2", "sudo"},
    {"Seccomp",
     [](PtraceFacts& f) {
       f.ptrace_works = false;
       f.we_are_filtered = true;
     },
     ErrorCode::not_permitted, "seccomp filter", "--cap-add=SYS_PTRACE"},
    {"Sandbox", [](PtraceFacts& f) { f.ptrace_works = false; }, ErrorCode::not_permitted, "child of our own",
     ""},
    {"OtherUser",
     [](PtraceFacts& f) {
       f.ids_are_ours = false;
       f.target_uid = 33;
       f.proc_owner = 33;
     },
     ErrorCode::not_permitted, "runs as uid 33, pythreads as uid 1000", "sudo"},
    {"RootWithoutTheCapability",
     [](PtraceFacts& f) {
       f.ids_are_ours = false;
       f.our_uid = 0;
       f.root_would_have_it = false;
     },
     ErrorCode::not_permitted, "CAP_SYS_PTRACE", "--cap-add=SYS_PTRACE"},
    {"NotDumpable", [](PtraceFacts& f) { f.proc_owner = 0; }, ErrorCode::not_permitted, "not dumpable",
     "sudo"},
    {"MoreCapabilities", [](PtraceFacts& f) { f.target_capabilities = 1; }, ErrorCode::not_permitted,
     "has capabilities that pythreads has not", "sudo"},
    {"UserNamespace",
     [](PtraceFacts& f) {
       f.our_capabilities = sys_ptrace;
       f.same_user_namespace = false;
       f.in_first_user_namespace = false;
     },
     ErrorCode::not_permitted, "another user namespace", "outside"},
    {"Unknown", [](PtraceFacts&) {}, ErrorCode::not_permitted, "refuses access", ""},
    {"UnknownUnderAppArmor", [](PtraceFacts& f) { f.security_label = "docker-default (enforce)"; },
     ErrorCode::not_permitted, "docker-default", ""},
    {"UnknownThoughOurChildUnderYama",
     [](PtraceFacts& f) {
       f.yama_scope = 1;
       f.is_our_descendant = true;
     },
     ErrorCode::not_permitted, "refuses access", ""},
};

class PtraceReason : public testing::TestWithParam<Reason> {};

TEST_P(PtraceReason, IsToldByItsFacts) {
  PtraceFacts facts = ordinary();
  GetParam().change(facts);
  Error error = explain_ptrace_failure(facts, pid, EPERM);
  EXPECT_EQ(error.code, GetParam().code);
  EXPECT_NE(error.message.find(GetParam().says), std::string::npos) << error.message;
  EXPECT_EQ(error.message.find('\n'), std::string::npos);
  if (*GetParam().hint == '\0') {
    EXPECT_EQ(error.hint, "");
  } else {
    EXPECT_NE(error.hint.find(GetParam().hint), std::string::npos) << error.hint;
  }
}

INSTANTIATE_TEST_SUITE_P(Each, PtraceReason, testing::ValuesIn(reasons),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(PtraceReasons, AnotherErrorThanDeniedIsNoMatterOfPermission) {
  Error error = explain_ptrace_failure(ordinary(), pid, EIO);
  EXPECT_EQ(error.code, ErrorCode::unreadable);
  EXPECT_EQ(error.hint, "");
}

// Seizes `target` from a child of ours that did `prepare` first, and gives back what it says of the failure.
std::string explain_from(pid_t target, const std::function<bool()>& prepare) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
  ScopedFd reading(ends[0]);
  ScopedFd writing(ends[1]);
  ScopedChild prober([&] {
    std::string said = "not prepared";
    if (prepare()) {
      Result<ProcDir> dir = ProcDir::open(target);
      if (!dir) {
        said = dir.error().message;
      } else if (::ptrace(PTRACE_SEIZE, target, nullptr, nullptr) == 0) {
        said = "seized";
      } else {
        Error error = explain_ptrace_failure(*dir, target, errno);
        said = std::string(error_code_name(error.code)) + "|" + error.message + "|" + error.hint;
      }
    }
    return ::write(writing.get(), said.data(), said.size()) == static_cast<ssize_t>(said.size());
  });
  writing.reset();
  std::array<char, 2048> said{};
  ssize_t length = ::read(reading.get(), said.data(), said.size());
  return length > 0 ? std::string(said.data(), static_cast<std::size_t>(length)) : "nothing";
}

bool become(uid_t uid) {
  return ::setresgid(uid, uid, uid) == 0 && ::setresuid(uid, uid, uid) == 0;
}
bool become_dumpable(uid_t uid) {
  return become(uid) && ::prctl(PR_SET_DUMPABLE, 1) == 0;
}

class PtraceFailure : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "changing the user needs root";
  }
};

TEST_F(PtraceFailure, OfAnotherUsersProcess) {
  ScopedChild target([] { return true; });
  std::string said = explain_from(target.pid(), [] { return become(12345); });
  EXPECT_TRUE(said.starts_with("not_permitted|")) << said;
  EXPECT_NE(said.find("runs as uid 0, pythreads as uid 12345"), std::string::npos) << said;
}

TEST_F(PtraceFailure, OfAProcessThatIsNotDumpable) {
  ScopedChild target([] { return become(12345); });
  ASSERT_TRUE(target.is_ready());
  std::string said = explain_from(target.pid(), [] { return become(12345); });
  EXPECT_NE(said.find("is not dumpable"), std::string::npos) << said;
}

TEST_F(PtraceFailure, OfOneWithMoreCapabilities) {
  ScopedChild target([] {
    ::prctl(PR_SET_KEEPCAPS, 1);
    if (!become(12345)) return false;
    // Permitted capabilities survived; it is made dumpable again.
    return ::prctl(PR_SET_DUMPABLE, 1) == 0;
  });
  ASSERT_TRUE(target.is_ready());
  std::string said = explain_from(target.pid(), [] { return become(12345); });
  EXPECT_NE(said.find("has capabilities that pythreads has not"), std::string::npos) << said;
}

TEST_F(PtraceFailure, DoesNotHappenForOnesOwn) {
  ScopedChild target([] { return become_dumpable(12345); });
  ASSERT_TRUE(target.is_ready());
  std::string said = explain_from(target.pid(), [] { return become(12345); });
  // Yama may still forbid it: then that must be what is said.
  EXPECT_TRUE(said == "seized" || said.find("Yama") != std::string::npos) << said;
}

TEST(Ptrace, OfAProcessThatIsTracedNamesTheTracer) {
  ScopedChild target([] { return true; });
  ASSERT_TRUE(target.is_ready());
  ASSERT_EQ(::ptrace(PTRACE_SEIZE, target.pid(), nullptr, nullptr), 0);
  std::string said = explain_from(target.pid(), [] { return true; });
  EXPECT_TRUE(said.starts_with("already_traced|")) << said;
  EXPECT_NE(said.find("(pid " + std::to_string(::getpid()) + ")"), std::string::npos) << said;
}

TEST(Ptrace, OfAZombie) {
  ScopedChild target([] { return true; });
  target.kill_only();
  std::string said = explain_from(target.pid(), [] { return true; });
  EXPECT_TRUE(said.starts_with("zombie|")) << said;
  EXPECT_NE(said.find(std::to_string(::getpid())), std::string::npos) << said;
}

TEST(Ptrace, OfOurselves) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Error error = explain_ptrace_failure(*dir, ::getpid(), EPERM);
  EXPECT_NE(error.message.find("pythreads itself"), std::string::npos) << error.message;
}

TEST(Ptrace, OfAProcessThatEnded) {
  ScopedChild target([] { return true; });
  Result<ProcDir> dir = ProcDir::open(target.pid());
  ASSERT_TRUE(dir);
  pid_t was = target.pid();
  target.end();
  EXPECT_EQ(explain_ptrace_failure(*dir, was, ESRCH).code, ErrorCode::process_ended);
}

TEST(PtraceFacts, OfAChildOfOurs) {
  ScopedChild target([] { return true; });
  Result<ProcDir> dir = ProcDir::open(target.pid());
  ASSERT_TRUE(dir);
  PtraceFacts facts = read_ptrace_facts(*dir, target.pid());
  EXPECT_TRUE(facts.exists);
  EXPECT_TRUE(facts.is_our_descendant);
  EXPECT_EQ(facts.parent_pid, ::getpid());
  EXPECT_EQ(facts.target_uid, ::geteuid());
  EXPECT_EQ(facts.proc_owner, ::geteuid());
  EXPECT_EQ(facts.ids_are_ours, true);
  EXPECT_EQ(facts.same_user_namespace, true);
  EXPECT_EQ(facts.tracer_pid, 0);
  EXPECT_FALSE(facts.kernel_thread);
  EXPECT_TRUE(facts.ptrace_works.has_value());
}

}  // namespace
}  // namespace pythreads::attach
