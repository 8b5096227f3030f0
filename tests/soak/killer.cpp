// Runs a program and kills it at one of its system calls: killer N PROGRAM [ARGUMENTS...]
//
// Every entry into and return from a system call, of all its threads, is counted from the first ptrace(2) on:
// what comes before can do nothing to a target. At the Nth of them (1 is the entry into the first) it dies by
// SIGKILL. Prints "killed N entry|return NUMBER", or "ended COUNT STATUS" when it came to its end before.
//
// A kill at a random time misses windows of microseconds; this misses none.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace {

struct Tracee {
  bool inside = false;  // of a system call
};

class Killer {
 public:
  Killer(pid_t pid, long at) : pid_(pid), at_(at) {}

  int run() {
    int status = 0;
    for (;;) {
      // All children are this program's threads: nothing else was started.
      const pid_t tid = waitpid(-1, &status, __WALL);
      if (tid < 0) {
        if (errno == EINTR) continue;
        break;
      }
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        tracees_.erase(tid);
        if (tid == pid_) return end(status);
        continue;
      }
      go_on(tid, status);
    }
    std::perror("killer: waitpid");
    return 70;
  }

 private:
  void go_on(pid_t tid, int status) {
    const int signal = WSTOPSIG(status);
    long pass = 0;
    if (signal == (SIGTRAP | 0x80)) {
      note_call(tid);
    } else if (status >> 16 != 0) {
      // PTRACE_EVENT_EXEC and _CLONE: nothing to pass on.
    } else if (tracees_.contains(tid)) {
      pass = signal;
    }  // else the first stop of a new thread
    tracees_.try_emplace(tid);
    ptrace(PTRACE_SYSCALL, tid, nullptr, pass);
  }

  void note_call(pid_t tid) {
    Tracee& tracee = tracees_[tid];
    tracee.inside = !tracee.inside;
    user_regs_struct registers{};
    if (ptrace(PTRACE_GETREGS, tid, nullptr, &registers) != 0) return;
    const auto number = static_cast<long>(registers.orig_rax);
    counting_ = counting_ || number == SYS_ptrace;
    if (!counting_ || killed_) return;
    if (++count_ != at_) return;
    std::printf("killed %ld %s %ld\n", count_, tracee.inside ? "entry" : "return", number);
    killed_ = true;
    kill(pid_, SIGKILL);
  }

  int end(int status) const {
    if (!killed_) std::printf("ended %ld %d\n", count_, status);
    return 0;
  }

  pid_t pid_;
  long at_;
  long count_ = 0;
  bool counting_ = false;
  bool killed_ = false;
  std::map<pid_t, Tracee> tracees_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: killer N PROGRAM [ARGUMENTS...]\n", stderr);
    return 64;
  }
  const pid_t pid = fork();
  if (pid < 0) return 71;
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    execv(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return 71;
  constexpr long options =
      PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, pid, nullptr, options) != 0) return 71;
  ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
  return Killer(pid, std::strtol(argv[1], nullptr, 10)).run();
}
