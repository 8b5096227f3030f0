#include "cli/progress.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "cli/terminal.h"

namespace pythreads::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kUnseen{1};
constexpr std::chrono::milliseconds kEach{500};

// What the terminal does not take at once is left out.
bool write_now(const std::string& text) {
  pollfd terminal{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&terminal, 1, 0) != 1 || (terminal.revents & POLLOUT) == 0) return false;
  return ::write(STDERR_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

Progress::Progress() {
  if (!is_capable_terminal(STDERR_FILENO)) return;
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    erase();
    ends_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Progress::tell(std::string what) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
  }
  changed_.notify_one();
}

void Progress::hide() {
  if (!thread_.joinable()) return;
  const std::lock_guard lock(mutex_);
  erase();
  what_.clear();
  since_ = Clock::now();
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (what_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Clock::time_point now = Clock::now();
    if (shown_ || now - since_ >= kUnseen) {
      show(now);
      changed_.wait_for(lock, kEach);
    } else {
      changed_.wait_until(lock, since_ + kUnseen);
    }
  }
}

void Progress::show(Clock::time_point now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - since_).count();
  std::string line = "pythreads: " + what_ + ", " + std::to_string(seconds) + " s";
  const std::size_t width = terminal_width(STDERR_FILENO);
  if (line.size() >= width) line.resize(width - 1);
  shown_ = write_now("\r\x1b[K" + line) || shown_;
}

void Progress::erase() {
  if (std::exchange(shown_, false)) write_now("\r\x1b[K");
}

}  // namespace pythreads::cli
