// All threads of a process, standing still by ptrace; the end of the object lets each go on. Only the thread
// that made it may use it, for a tracee belongs to one thread, and that thread does nothing else (holder.h).
//
// PTRACE_SEIZE stops nobody, so all are seized first and interrupted together; then each is waited for by its
// own tid. waitid(P_PID, …, WNOWAIT) because a wait that takes the status of a signal-delivery-stop takes the
// signal with it should we die before PTRACE_DETACH; never P_ALL, which is quadratic in the threads and takes
// the statuses of others. Then the thread list is read again, until nothing in it is new: a thread that has
// stopped makes no more of them, and whoever it made before stands in the list.
//
// What a thread was stopped by decides how it is let go: a signal that it was about to take is handed back;
// PTRACE_EVENT_STOP gives nothing back; a group-stopped one stays stopped, the kernel sees to it.
//
// ptrace(2); kernel/ptrace.c and kernel/signal.c at v6.1 (do_jobctl_trap, __ptrace_unlink).
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "attach/result.h"
#include "attach/thread_state.h"

namespace pythreads::attach {

// What is known of a thread before it is held. `stat` is /proc/PID/task/TID/stat, opened for reading, where
// it may have to be asked again whether it still sleeps uninterruptibly; else -1.
struct ThreadBefore {
  pid_t tid = 0;
  char state = '?';
  int stat = -1;
  bool waits_outside = false;  // it sleeps in a system call, on something that is no word of the process's
};

// How long a thread is waited for. The others stand meanwhile.
struct StopBounds {
  std::chrono::milliseconds sleeping{200};  // it slept uninterruptibly before
  std::chrono::milliseconds running{500};   // any other: it stops as soon as it gets a processor
  // Since the first interrupt: who waits outside and was not interrupted by then is let be.
  std::chrono::milliseconds outside{500};
};

struct StoppedThread {
  pid_t tid = 0;
  StopOutcome outcome = StopOutcome::not_tried;
  std::optional<Registers> registers;
  std::string gap;
  bool seized = false;    // one that is and whose stop was not tried was let be
  int signal = 0;         // to hand back at the end
  bool by_event = false;  // by our interrupt, not by a signal on its way
};

// The tids that were seized so far, for a thread of ours that watches over a PTRACE_SEIZE which does not
// return: an execve in the target holds the lock that it waits for, until somebody reaps the threads that
// execve has killed, and they are ours.
class SeizedTids {
 public:
  void add(pid_t tid);
  void reap_dead(pid_t leader);

 private:
  std::mutex mutex_;
  std::vector<pid_t> tids_;
};

class StoppedThreads {
 public:
  // `task` is /proc/PID/task and `stat` is /proc/PID/stat, opened for reading; nothing is opened here.
  StoppedThreads(pid_t pid, int task, int stat, SeizedTids& seized);
  ~StoppedThreads();
  StoppedThreads(const StoppedThreads&) = delete;
  StoppedThreads& operator=(const StoppedThreads&) = delete;

  // 0, or the errno of the PTRACE_SEIZE that failed when no thread at all could be seized.
  int stop(const std::vector<ThreadBefore>& before, StopBounds bounds);

  // That one alone; the others run on. 0, or the errno of PTRACE_SEIZE.
  int stop_one(const ThreadBefore& before, std::chrono::milliseconds bound);

  // Each is let go, in the order in which it was taken. Again: nothing.
  void release();

  std::vector<StoppedThread>& threads() { return threads_; }
  const std::string& gap() const { return gap_; }
  std::optional<std::chrono::steady_clock::time_point> first_interrupt() const { return first_interrupt_; }
  std::optional<std::chrono::steady_clock::time_point> last_detach() const { return last_detach_; }

 private:
  bool list_new(std::vector<pid_t>& tids);
  bool all_are_known() const;
  void seize(pid_t tid, char state);
  void interrupt(StoppedThread& thread);
  template <typename BeforeOf>
  void stop_range(std::size_t first, std::size_t end, const BeforeOf& before_of, StopBounds bounds);
  void wait_for(StoppedThread& thread, const ThreadBefore& before, StopBounds bounds,
                std::chrono::steady_clock::time_point since);
  bool look_at(StoppedThread& thread);

  pid_t pid_;
  int task_;
  int stat_;
  SeizedTids& seized_tids_;
  std::unordered_set<pid_t> known_;
  std::vector<StoppedThread> threads_;
  std::vector<char> listing_;
  int seize_error_ = 0;
  bool released_ = false;
  std::string gap_;
  std::optional<std::chrono::steady_clock::time_point> first_interrupt_;
  std::optional<std::chrono::steady_clock::time_point> last_detach_;
};

}  // namespace pythreads::attach
