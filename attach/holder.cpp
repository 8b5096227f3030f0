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

// Of the pause budget: until then threads that wait outside are still stopped, as letting go takes about as
// long as the stop; and a thread that does not stop is waited for, if that is not less than `least_patience`.
constexpr double outside_share = 0.3, running_share = 0.6;
constexpr auto least_patience = std::chrono::milliseconds(20);

// What the readers of the locks get after the stop at the least, whatever the budget: some thousand threads'.
constexpr auto least_reading = std::chrono::milliseconds(50);

// A PTRACE_DETACH, and the thread that it wakes up, on a processor that is busy otherwise.
constexpr auto detach_time = std::chrono::microseconds(20);

std::chrono::milliseconds share_of(std::chrono::milliseconds budget, double share) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(budget * share);
}

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
  const auto sleeping =
      std::min(bounds_.stop, std::max(least_patience, share_of(bounds_.pause, running_share)));
  const int error = stopped.stop(before, {.sleeping = sleeping,
                                          .running = std::max(sleeping, bounds_.pause / 2),
                                          .outside = share_of(bounds_.pause, outside_share)});
  const auto held_since = stopped.first_interrupt();
  if (error == 0) {
    const auto now = std::chrono::steady_clock::now();
    const auto stopping = now - *held_since;
    const auto letting_go = std::min<std::chrono::nanoseconds>(
        stopping, detach_time * static_cast<std::int64_t>(stopped.threads().size()));
    const auto in_time = *held_since + bounds_.pause - letting_go;
    reading_ends_ = in_time - bounds_.pause / 10;  // readers look at the clock now and then
    release_by_ = std::max(in_time, now + std::max(least_reading, bounds_.pause / 4));
  }
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
    in_time = changed_.wait_until(lock, release_by_, [this] { return may_release_.load(); });
  }
  before_release_();
  stopped.release();
  budget_passed_ = !in_time;
  pause_ = *stopped.last_detach() - *held_since;
}

}  // namespace pythreads::attach
