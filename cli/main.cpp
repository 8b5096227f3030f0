#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/options.h"

namespace {

// A parent may have closed our standard descriptors, blocked signals or ignored SIGCHLD. The first would let
// a file of the target take the place of standard output, the second would take away the release that can't
// hang (dying by SIGINT or SIGTERM), the third makes waitid lose what it waits for.
void reset_inherited_state() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0)
      static_cast<void>(::open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY));
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write, with an exit code of its own
}

// Memory that was had once stays ours: a page fault of ours while a target is held prolongs its stop.
void keep_heap() {
#ifdef __GLIBC__
  constexpr int kept = 256 * 1024 * 1024, at_once = 1024 * 1024;
  ::mallopt(M_TRIM_THRESHOLD, kept);
  ::mallopt(M_TOP_PAD, at_once);
#endif
}

// Where memory is limited (a pod at its limit) the kernel kills the largest process, which is the target.
// This one comes before any other, whatever its size: proc(5), /proc/PID/oom_score_adj. To raise it is always
// allowed; where it can't be done (no /proc) nothing is said, for nobody asked.
void be_killed_first() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  constexpr char first[] = "1000";
  static_cast<void>(!::write(fd, first, sizeof first - 1));
  ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  using pythreads::cli::Command;
  reset_inherited_state();
  be_killed_first();
  keep_heap();
  if (pythreads::cli::asks_for_completion(argc, argv)) {
    return static_cast<int>(pythreads::cli::run_completion(argc, argv));
  }
  auto parsed = pythreads::cli::parse_options(argc, argv);
  if (const auto* end = std::get_if<pythreads::cli::EarlyEnd>(&parsed)) {
    return static_cast<int>(pythreads::cli::end_early(*end));
  }
  const auto& options = std::get<pythreads::cli::Options>(parsed);
  switch (options.command) {
    case Command::dump:
    case Command::graph:
      return static_cast<int>(pythreads::cli::run_dump(options));
    case Command::check:
      return static_cast<int>(pythreads::cli::run_check(options));
    case Command::show:
      return static_cast<int>(pythreads::cli::run_show(options));
    case Command::doctor:
      return static_cast<int>(pythreads::cli::run_doctor(options));
  }
  return static_cast<int>(pythreads::cli::ExitCode::internal);
}
