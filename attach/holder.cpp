#include "attach/holder.h"

#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pythreads::attach {
namespace {

// How long a PTRACE_SEIZE may take before dead tracees are looked for. It takes some microseconds.
constexpr auto seize_patience = std::chrono::milliseconds(20);

// To wake a thread that sleeps takes as long as the whole stop of a small target: for the first moments it is
// looked for instead.
constexpr auto spin_time = std::chrono::microseconds(300);

void spin_until(const std::atomic<bool>& flag) {
  const auto end = std::chrono::steady_clock::now() + spin_time;
  while (!flag.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < end) ::sched_yield();
}

}  // namespace

Holder::Holder(pid_t pid, int task, int stat, Bounds bounds, std::function<void()> before_release)
    : pid_(pid), task_(task), stat_(stat), bounds_(bounds), before_release_(std::move(before_release)) {}

Holder::~Holder() {
  release();
}

int Holder::stop(std::vector<ThreadBefore> before) {
  try {
    thread_ = std::thread(&Holder::run, this, std::move(before));
  } catch (const std::system_error&) {
    return EAGAIN;
  }
  spin_until(all_stand_);
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, seize_patience, [this] { return all_stand_.load(); })) {
    lock.unlock();
    seized_.reap_dead(pid_);
    lock.lock();
  }
  return error_;
}

void Holder::release() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    may_release_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Holder::run(const std::vector<ThreadBefore>& before) {
  // The default slack of 50 µs is longer than most waits here.
  ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  StoppedThreads stopped(pid_, task_, stat_, seized_);
  const auto patience = std::min(bounds_.pause, std::max(bounds_.stop, bounds_.pause / 2));
  const int error = stopped.stop(before, {std::min(bounds_.stop, bounds_.pause), patience});
  const auto held_since = stopped.first_interrupt();
  {
    const std::lock_guard lock(mutex_);
    threads_ = stopped.threads();  // a copy: ours are needed for the release
    gap_ = stopped.gap();
    error_ = error;
    all_stand_ = true;
  }
  changed_.notify_all();
  if (error != 0) return;
  bool in_time = true;
  spin_until(may_release_);
  {
    std::unique_lock lock(mutex_);
    in_time = changed_.wait_until(lock, *held_since + bounds_.pause, [this] { return may_release_.load(); });
  }
  before_release_();
  stopped.release();
  budget_passed_ = !in_time;
  pause_ = *stopped.last_detach() - *held_since;
}

}  // namespace pythreads::attach
