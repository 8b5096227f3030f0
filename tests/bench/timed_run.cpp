// Runs a command and says what it cost: timed_run SECONDS OUTPUT COMMAND [ARGUMENTS...]
//
// Prints wall milliseconds (fork to exit), processor milliseconds, peak memory in KiB, and the exit code
// (minus the signal that ended it; "late" when it was killed after SECONDS). Its standard output goes to the
// file OUTPUT.
//
// A program of its own because ru_maxrss begins at what the memory of whoever forked was before the exec
// (fs/exec.c at v6.1, setmax_mm_hiwater_rss in exec_mmap): started from Python, no peak is below Python's.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

volatile pid_t child = 0;
volatile std::sig_atomic_t late = 0;

void end_child(int) {
  late = 1;
  if (child > 0) kill(child, SIGKILL);
}

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: timed_run SECONDS OUTPUT COMMAND [ARGUMENTS...]\n", stderr);
    return 64;
  }
  struct sigaction action {};
  action.sa_handler = end_child;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);

  const auto began = std::chrono::steady_clock::now();
  child = fork();
  if (child < 0) return 71;
  if (child == 0) {
    const int output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output < 0 || dup2(output, 1) < 0) _exit(126);
    execvp(argv[3], argv + 3);
    _exit(127);
  }
  alarm(static_cast<unsigned>(std::atoi(argv[1])));
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) return 71;
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - began;

  std::printf("%.3f %.3f %ld ", wall.count(), milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
              usage.ru_maxrss);
  if (late != 0) {
    std::puts("late");
  } else {
    std::printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  }
  return 0;
}
