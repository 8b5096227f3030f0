#include "attach/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "attach/seccomp_filter.h"

namespace pythreads::attach {
namespace {

// What a sandboxed child found, as its exit code.
int sandboxed(const std::function<int()>& look) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    enter_sandbox();
    ::_exit(look());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(SandboxFilter, LetsPassWhatIsListedAndNothingElse) {
  const std::vector<sock_filter> program = sandbox_filter(1234);
  const std::set<long> by_argument = {SYS_mmap, SYS_mprotect, SYS_newfstatat, SYS_tgkill};
  std::set<long> passed;
  for (std::uint32_t number = 0; number < 1024; ++number) {
    const FilterAnswer answer = run_filter(program, number);
    if (by_argument.contains(static_cast<long>(number))) {
      EXPECT_FALSE(answer.has_value()) << number;
      continue;
    }
    ASSERT_TRUE(answer.has_value()) << number;
    if (lets_pass(*answer))
      passed.insert(static_cast<long>(number));
    else
      EXPECT_EQ(*answer, SECCOMP_RET_ERRNO | EPERM) << number;
  }
  for (const long number :
       {SYS_read, SYS_pread64, SYS_write, SYS_brk, SYS_munmap, SYS_exit_group, SYS_recvmsg})
    EXPECT_TRUE(passed.contains(number)) << number;
  for (const long number : {SYS_openat, SYS_openat2, SYS_execve, SYS_ptrace, SYS_kill, SYS_process_vm_readv,
                            SYS_process_vm_writev, SYS_socket, SYS_connect, SYS_clone, SYS_ioctl, SYS_prctl,
                            SYS_bpf, SYS_io_uring_setup, SYS_pidfd_send_signal, SYS_unlinkat, SYS_setuid})
    EXPECT_FALSE(passed.contains(number)) << number;
#ifdef __SANITIZE_ADDRESS__
  passed.erase(SYS_pipe2);
#ifdef SYS_pipe
  passed.erase(SYS_pipe);
#endif
#endif
  EXPECT_EQ(passed.size(), 31u);
}

TEST(Sandbox, HasNoRights) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int own = ::open("/proc/self/status", O_RDONLY);  // opened before, read after
    const SandboxParts parts = enter_sandbox();
    std::string text(8192, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(::pread(own, text.data(), text.size(), 0), 0)));
    const auto has = [&](const char* line) { return text.find(line) != std::string::npos; };
    int missing = 0;
    if (!parts.no_capabilities) missing |= 1;
    if (!has("\nCapEff:\t0000000000000000") || !has("\nCapPrm:\t0000000000000000")) missing |= 2;
    if (!has("\nCapInh:\t0000000000000000") || !has("\nCapAmb:\t0000000000000000")) missing |= 4;
    if (!has("\nNoNewPrivs:\t1")) missing |= 8;
    if (parts.seccomp && !has("\nSeccomp:\t2")) missing |= 16;
    ::_exit(missing);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Sandbox, OpensStartsTracesAndSignalsNothing) {
  if (!find_sandbox_parts().seccomp) GTEST_SKIP() << "this kernel has no seccomp filters";
  EXPECT_EQ(sandboxed([] { return ::open("/dev/null", O_RDONLY) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(
      sandboxed([] { return ::open("/tmp/made_in_a_sandbox", O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0; }),
      EPERM);
  EXPECT_EQ(sandboxed([] { return ::fork() < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(sandboxed([] { return ::execl("/bin/true", "true", nullptr) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(sandboxed([] { return ::kill(::getppid(), 0) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(sandboxed([] { return ::ptrace(PTRACE_SEIZE, ::getppid(), 0, 0) < 0 ? errno : 0; }), EPERM);
  EXPECT_EQ(sandboxed([] {
              return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                             MAP_FAILED
                         ? errno
                         : 0;
            }),
            EPERM);
}

TEST(Sandbox, LandlockDeniesByItself) {
  if (!find_sandbox_parts().landlock) GTEST_SKIP() << "this kernel has no Landlock";
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(enter_sandbox().landlock ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Sandbox, ReadsWritesAsksForMemoryAndAborts) {
  const int file = ::open("/proc/self/exe", O_RDONLY);
  EXPECT_EQ(sandboxed([file] {
              char bytes[4];
              struct stat seen {};
              if (::pread(file, bytes, sizeof bytes, 0) != 4 || std::string(bytes + 1, 3) != "ELF") return 1;
              if (::fstat(file, &seen) != 0 || seen.st_size == 0) return 2;
              const std::size_t large = std::size_t{8} << 20;
              void* mapped =
                  ::mmap(nullptr, large, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (mapped == MAP_FAILED) return 3;
              static_cast<char*>(mapped)[large - 1] = 'x';
              if (::munmap(mapped, large) != 0) return 4;
              return std::string(1 << 20, 'y').size() == 1 << 20 ? 0 : 5;
            }),
            0);
  ::close(file);
  EXPECT_EQ(sandboxed([]() -> int { std::abort(); }), 1000 + SIGABRT);
}

}  // namespace
}  // namespace pythreads::attach
