#include "cli/pause.h"

#include <signal.h>
#include <time.h>

#include <cerrno>

namespace pythreads::cli {

bool pause_until(std::chrono::steady_clock::time_point until) {
  sigset_t ends, before;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGINT);
  ::sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, &before);
  int came = 0;
  while (came <= 0) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec wait{static_cast<time_t>(seconds.count()),
                        static_cast<long>(std::chrono::nanoseconds(left - seconds).count())};
    came = ::sigtimedwait(&ends, nullptr, &wait);
    if (came < 0 && errno != EINTR) break;  // EAGAIN: the time is over
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return came <= 0;
}

}  // namespace pythreads::cli
