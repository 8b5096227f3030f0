#include "cli/watchdog.h"

#include <unistd.h>

#include <utility>

#include "cli/exit_code.h"

namespace pythreads::cli {

Watchdog::Watchdog(std::chrono::steady_clock::time_point at, std::function<void()> last_words, ExitCode code)
    : thread_([this, at, code, words = std::move(last_words)] {
        std::unique_lock lock(mutex_);
        if (called_off_.wait_until(lock, at, [this] { return done_; })) return;
        words();
        ::_exit(static_cast<int>(code));
      }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  called_off_.notify_one();
  thread_.join();
}

}  // namespace pythreads::cli
