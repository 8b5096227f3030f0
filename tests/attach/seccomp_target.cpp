// A process under a seccomp filter that has something to say about restart_syscall. Its main thread sleeps in
// one call for a second, prints "woke", or which errno the call gave, and sleeps again.
//
//   seccomp_target FILTER CALL OTHER
//   FILTER  none | allow | kill | trap | errno | argument (decides by the first argument, and allows)
//   CALL    poll | nanosleep | absolute (clock_nanosleep) | futex
//   OTHER   nobody | parked (an untimed futex) | spinning | late (a parked one, started before the main
//   thread
//           installs another filter of its own)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>

namespace {

std::atomic<std::uint64_t> spins{0};
std::uint32_t word = 0;

bool install(std::uint32_t answer, bool by_argument) {
  const auto argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args));
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_restart_syscall},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, by_argument ? argument : 0},
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0xdeadbeef},
      {BPF_RET | BPF_K, 0, 0, answer},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

bool install(const std::string& name) {
  if (name == "none") return true;
  if (name == "allow") return install(SECCOMP_RET_ALLOW, false);
  if (name == "kill") return install(SECCOMP_RET_KILL_PROCESS, false);
  if (name == "trap") return install(SECCOMP_RET_TRAP, false);
  if (name == "errno") return install(SECCOMP_RET_ERRNO | EPERM, false);
  if (name == "argument") return install(SECCOMP_RET_ALLOW, true);
  return false;
}

// 0, or the errno that nobody expects. By syscall(2), for the C library turns poll into others at its will.
int sleep_in(const std::string& call) {
  const timespec one_second{1, 0};
  long result = 0;
  if (call == "poll") {
    result = ::syscall(SYS_poll, nullptr, 0, 1000);
  } else if (call == "nanosleep") {
    result = ::syscall(SYS_nanosleep, &one_second, nullptr);
  } else if (call == "absolute") {
    timespec until{};
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    result = ::syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  } else {
    result = ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &one_second, nullptr, 0);
    if (result != 0 && errno == ETIMEDOUT) return 0;
  }
  return result == 0 ? 0 : errno;
}

[[noreturn]] void park() {
  for (;;) ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string other = argv[3];
  if (!install(argv[1])) return 3;
  if (other == "parked" || other == "late") std::thread(park).detach();
  if (other == "spinning") {
    std::thread([] {
      for (;;) ++spins;
    }).detach();
  }
  if (other == "late" && !install(argv[1])) return 3;
  for (;;) {
    const int error = sleep_in(argv[2]);
    if (error == 0) {
      std::puts("woke");
    } else {
      std::printf("errno %d\n", error);
    }
    std::fflush(stdout);
  }
}
