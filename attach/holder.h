// The thread of ours that holds a target still, for one stop. It does nothing but ptrace and waiting, because
// a tracee obeys only the thread that seized it, and because readers may hang: in a page fault that somebody
// else must serve (userfaultfd, FUSE, NFS), and that somebody may be the target. The holder lets go when the
// pause budget is spent, whatever the readers do, and its own end lets go of what a detach could not reach (a
// thread in uninterruptible sleep).
//
// SIGINT and SIGTERM must have their default action while it holds: our death is the release that can't hang.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "attach/result.h"
#include "attach/stopped_threads.h"

namespace pythreads::attach {

class Holder {
 public:
  struct Bounds {
    std::chrono::milliseconds stop{200};  // HoldOptions::stop_bound
    std::chrono::milliseconds pause{250};
  };

  // `task` and `stat`: /proc/PID/task and /proc/PID/stat, opened for reading.
  // `before_release` is called by the holder right before the first thread goes on, once.
  Holder(pid_t pid, int task, int stat, Bounds bounds, std::function<void()> before_release);
  ~Holder();  // releases
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  // Returns when all stand. The errno of PTRACE_SEIZE, or EAGAIN when there is no thread to be had for it.
  int stop(std::vector<ThreadBefore> before);

  // Waits until all go on and the thread has ended.
  void release();

  // What was found; read it after `stop` and before the next call.
  std::vector<StoppedThread>& threads() { return threads_; }
  const std::string& gap() const { return gap_; }
  // When readers should be done, for the pause budget to be kept: so long before it is spent as letting go
  // will take. It may be past. The locks are read all the same, and for that the holder waits some time more.
  std::chrono::steady_clock::time_point reading_ends() const { return reading_ends_; }

  // After `release`.
  std::chrono::duration<double, std::milli> pause() const { return pause_; }
  bool budget_passed() const { return budget_passed_; }

 private:
  void run(const std::vector<ThreadBefore>& before);

  pid_t pid_;
  int task_;
  int stat_;
  Bounds bounds_;
  std::function<void()> before_release_;
  SeizedTids seized_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> all_stand_{false};  // or it failed
  std::atomic<bool> may_release_{false};
  int error_ = 0;

  std::vector<StoppedThread> threads_;
  std::string gap_;
  std::chrono::steady_clock::time_point reading_ends_, release_by_;
  std::chrono::duration<double, std::milli> pause_{0};
  bool budget_passed_ = false;
  std::thread thread_;
};

}  // namespace pythreads::attach
