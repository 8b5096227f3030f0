#include "attach/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>

#include "attach/architecture.h"
#include "attach/scoped_fd.h"

// Headers of before 5.13 have no landlock.h; the numbers are the same on all architectures.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

namespace pythreads::attach {
namespace {

// Whatever their arguments are.
constexpr long allowed_calls[] = {
    // of open descriptors
    SYS_read, SYS_pread64, SYS_readv, SYS_preadv, SYS_write, SYS_writev, SYS_sendmsg, SYS_recvmsg, SYS_sendto,
    SYS_recvfrom, SYS_lseek, SYS_fstat, SYS_close,
    // of memory
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_futex,
#ifdef __SANITIZE_ADDRESS__
    // UndefinedBehaviorSanitizer asks by a pipe whether an address can be read.
    SYS_pipe2,
#ifdef SYS_pipe
    SYS_pipe,
#endif
#endif
    // of itself
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall, SYS_getpid,
    SYS_gettid, SYS_sched_yield, SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_exit,
    SYS_exit_group};

constexpr std::uint32_t denied = SECCOMP_RET_ERRNO | EPERM;

constexpr sock_filter statement(std::uint16_t code, std::uint32_t value) {
  return {code, 0, 0, value};
}
constexpr sock_filter jump(std::uint16_t code, std::uint32_t value, std::uint8_t when_so,
                           std::uint8_t when_not) {
  return {static_cast<std::uint16_t>(BPF_JMP | code | BPF_K), when_so, when_not, value};
}
constexpr sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr sock_filter answer(std::uint32_t value) {
  return statement(BPF_RET | BPF_K, value);
}
// The lower half of an argument, where the flags and pids are: little-endian on all that we know.
constexpr sock_filter load_argument(std::size_t index) {
  return load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

struct LandlockRules {
  std::uint64_t files, network, scoped;
};

// All that each version of it can deny, linux/landlock.h at v6.12.
LandlockRules landlock_rules(long version) {
  constexpr std::array<int, 5> file_bits = {13, 14, 15, 15, 16};  // of versions 1 to 5
  const int bits = version > 5 ? file_bits.back() : file_bits[static_cast<std::size_t>(version - 1)];
  return {(std::uint64_t{1} << bits) - 1, version >= 4 ? 3u : 0u, version >= 6 ? 3u : 0u};
}

long landlock_version() {
  constexpr std::uint32_t ask_version = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, ask_version);
}

bool enter_landlock() {
  const long version = landlock_version();
  if (version < 1) return false;
  const LandlockRules rules = landlock_rules(version);
  // A kernel takes a struct that is longer than its own where the rest is zero, and one that is shorter.
  const ScopedFd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0)));
  return ruleset.is_open() && ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0;
}

// The bounding set stays: it says what execve(2) may give, and that is denied, and gives nothing without new
// privileges.
bool drop_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return ::syscall(SYS_capset, &header, none) == 0;
}

struct Span {
  std::uint32_t begin, end;  // of system call numbers
};

std::vector<Span> spans_of_allowed() {
  std::vector<long> numbers(std::begin(allowed_calls), std::end(allowed_calls));
  std::sort(numbers.begin(), numbers.end());
  std::vector<Span> spans;
  for (const long each : numbers) {
    const auto number = static_cast<std::uint32_t>(each);
    if (!spans.empty() && spans.back().end == number)
      ++spans.back().end;
    else
      spans.push_back({number, number + 1});
  }
  return spans;
}

// Lets pass what is in the spans and goes on after its end with all else. By halves: the kernel runs a new
// filter once for each call there is.
void add_search(std::span<const Span> spans, std::vector<sock_filter>& program) {
  if (spans.size() == 1) {
    program.push_back(jump(BPF_JGE, spans[0].begin, 0, 2));
    program.push_back(jump(BPF_JGE, spans[0].end, 1, 0));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    return;
  }
  const std::size_t half = spans.size() / 2;
  std::vector<sock_filter> low;
  add_search(spans.first(half), low);
  std::vector<sock_filter> high;
  add_search(spans.subspan(half), high);
  low.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(high.size())));
  program.push_back(jump(BPF_JGE, spans[half].begin, static_cast<std::uint8_t>(low.size()), 0));
  program.insert(program.end(), low.begin(), low.end());
  program.insert(program.end(), high.begin(), high.end());
}

}  // namespace

std::vector<sock_filter> sandbox_filter(pid_t self) {
  std::vector<sock_filter> program;
  const auto add = [&program](std::initializer_list<sock_filter> lines) {
    program.insert(program.end(), lines);
  };
  add({load(offsetof(seccomp_data, arch)), jump(BPF_JEQ, audit_architecture, 1, 0),
       answer(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))});
  add_search(spans_of_allowed(), program);
  // Memory, but no code.
  for (const long number : {SYS_mmap, SYS_mprotect}) {
    add({jump(BPF_JEQ, static_cast<std::uint32_t>(number), 0, 4), load_argument(2),
         jump(BPF_JSET, PROT_EXEC, 1, 0), answer(SECCOMP_RET_ALLOW), answer(denied)});
  }
  // What glibc before 2.39 asks a descriptor's file by.
  add({jump(BPF_JEQ, SYS_newfstatat, 0, 6), load_argument(0),
       jump(BPF_JEQ, static_cast<std::uint32_t>(AT_FDCWD), 3, 0), load_argument(3),
       jump(BPF_JSET, AT_EMPTY_PATH, 0, 1), answer(SECCOMP_RET_ALLOW), answer(denied)});
  add({jump(BPF_JEQ, SYS_tgkill, 0, 4), load_argument(0),
       jump(BPF_JEQ, static_cast<std::uint32_t>(self), 0, 1), answer(SECCOMP_RET_ALLOW), answer(denied)});
  add({answer(denied)});
  return program;
}

SandboxParts enter_sandbox() {
  SandboxParts parts;
  // What is known of the target is not left behind in a file.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  parts.landlock = enter_landlock();
  parts.no_capabilities = drop_capabilities();
  std::vector<sock_filter> lines = sandbox_filter(::getpid());
  const sock_fprog program{static_cast<unsigned short>(lines.size()), lines.data()};
  parts.seccomp = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
  return parts;
}

SandboxParts find_sandbox_parts() {
  // A filter at no address: EFAULT where there are filters, EINVAL where there are none (seccomp(2)).
  const bool seccomp = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr, 0, 0) != 0 && errno == EFAULT;
  return {.no_capabilities = true, .seccomp = seccomp, .landlock = landlock_version() >= 1};
}

}  // namespace pythreads::attach
