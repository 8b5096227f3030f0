#include "attach/stopped_threads.h"

#include <dirent.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <span>
#include <string_view>
#include <unordered_map>

namespace pythreads::attach {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_rounds = 64;            // of reading the thread list
constexpr std::size_t max_threads = 100'000;      // more than a default kernel.pid_max allows
constexpr std::size_t listing_bytes = 64 * 1024;  // one getdents64 for some 2,000 threads

// A thread that slept uninterruptibly before (a vfork parent, a dead NFS server) and still does after this
// time is not waited for: all the others stand still meanwhile.
constexpr auto patience_with_sleeper = std::chrono::milliseconds(10);

// So many of those that wait outside are interrupted at first before the time is looked at, then twice as
// many, and so on: each time the last one is waited for, and that costs some microseconds.
constexpr std::size_t first_outside = 64;
constexpr std::size_t most_outside = 512;

// The state letter of a stat file that is open; '?' when there is none, 'X' when its thread is gone.
char state_now(int stat) {
  if (stat < 0) return '?';
  std::array<char, 256> text{};
  const ssize_t got = ::pread(stat, text.data(), text.size(), 0);
  if (got <= 0) return got == 0 || errno == ESRCH ? 'X' : '?';
  const std::string_view line(text.data(), static_cast<std::size_t>(got));
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string_view::npos && name_end + 2 < line.size() ? line[name_end + 2] : '?';
}

}  // namespace

void SeizedTids::add(pid_t tid) {
  const std::lock_guard lock(mutex_);
  tids_.push_back(tid);
}

void SeizedTids::reap_dead(pid_t leader) {
  std::vector<pid_t> tids;
  {
    const std::lock_guard lock(mutex_);
    tids = tids_;
  }
  for (const pid_t tid : tids) {
    if (tid == leader) continue;  // execve waits for it in another way; its status is its parent's
    // Looked at first: for a tracee any wait takes a stop as well, whether or not WSTOPPED was asked for
    // (kernel/exit.c at v6.1, wait_task_stopped).
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(tid), &info, WEXITED | WNOWAIT | WNOHANG | __WALL) != 0) continue;
    if (info.si_pid != 0 && info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
      ::waitid(P_PID, static_cast<id_t>(tid), &info, WEXITED | WNOHANG | __WALL);
    }
  }
}

StoppedThreads::StoppedThreads(pid_t pid, int task, int stat, SeizedTids& seized)
    : pid_(pid), task_(task), stat_(stat), seized_tids_(seized), listing_(listing_bytes) {}

StoppedThreads::~StoppedThreads() {
  release();
}

// The tids of /proc/PID/task that are not known yet. False: the list could not be read to its end.
bool StoppedThreads::list_new(std::vector<pid_t>& tids) {
  tids.clear();
  if (::lseek(task_, 0, SEEK_SET) != 0) return false;
  for (;;) {
    const long got = ::syscall(SYS_getdents64, task_, listing_.data(), listing_.size());
    if (got == 0) return true;
    if (got < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    for (long at = 0; at < got;) {
      const char* entry = listing_.data() + at;
      unsigned short length = 0;
      std::memcpy(&length, entry + offsetof(dirent64, d_reclen), sizeof length);
      const char* name = entry + offsetof(dirent64, d_name);
      pid_t tid = 0;
      const auto parsed = std::from_chars(name, name + std::strlen(name), tid);
      if (parsed.ec == std::errc{} && *parsed.ptr == '\0' && tid > 0 && !known_.contains(tid)) {
        if (known_.size() + tids.size() >= max_threads) return false;
        tids.push_back(tid);
      }
      at += length;
    }
  }
}

// By the number of links of /proc/PID/task, which counts the threads (proc_task_getattr, fs/proc/base.c at
// v6.1): a list of a thousand takes a thousandth of a second. False: nobody can say, the list will.
bool StoppedThreads::all_are_known() const {
  struct stat folder {};
  if (::fstat(task_, &folder) != 0 || folder.st_nlink < 2) return false;
  const auto standing = std::count_if(threads_.begin(), threads_.end(), [](const StoppedThread& thread) {
    const bool let_be = thread.seized && thread.outcome == StopOutcome::not_tried;
    return let_be || thread.outcome == StopOutcome::held || thread.outcome == StopOutcome::already_stopped;
  });
  return folder.st_nlink - 2 == static_cast<nlink_t>(standing);
}

void StoppedThreads::seize(pid_t tid, char state) {
  known_.insert(tid);
  StoppedThread thread;
  thread.tid = tid;
  seized_tids_.add(tid);
  // No options, and never PTRACE_O_EXITKILL: our death must be the target's release, not its end.
  long result = 0;
  do {
    result = ::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr);
  } while (result != 0 && errno == EINTR);
  if (result == 0) {
    thread.seized = true;
  } else if (errno == ESRCH || state == 'Z' || state == 'X') {
    // EPERM for what has ended and was not reaped, as a leader whose threads live on.
    thread.outcome = StopOutcome::exited;
    thread.gap = "the thread has ended";
    if (seize_error_ == 0) seize_error_ = errno;
  } else {
    seize_error_ = errno;
    thread.gap = std::string("it could not be stopped: ") + std::strerror(errno);
  }
  threads_.push_back(std::move(thread));
}

void StoppedThreads::interrupt(StoppedThread& thread) {
  if (!first_interrupt_) first_interrupt_ = Clock::now();
  if (::ptrace(PTRACE_INTERRUPT, thread.tid, nullptr, nullptr) != 0) {
    thread.outcome = StopOutcome::exited;
    thread.gap = "the thread ended while it was being stopped";
  }
}

// True when there is nothing more to wait for.
bool StoppedThreads::look_at(StoppedThread& thread) {
  siginfo_t info{};
  const int result =
      ::waitid(P_PID, static_cast<id_t>(thread.tid), &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL);
  if (result != 0 && errno == EINTR) return false;
  if (result == 0 && info.si_pid == 0) return false;
  if (result != 0 || (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)) {
    thread.outcome = StopOutcome::exited;
    thread.gap = "the thread ended while it was being stopped";
    thread.seized = false;
    // A dead tracee that nobody reaps would hold up an execve of another thread. The leader's status is for
    // its parent, and comes to it when we let go.
    if (result == 0 && thread.tid != pid_) {
      ::waitid(P_PID, static_cast<id_t>(thread.tid), &info, WEXITED | WNOHANG | __WALL);
    } else {
      thread.seized = result == 0;
    }
    return true;
  }
  const int event = info.si_status >> 8;
  const int signal = info.si_status & 0xff;
  thread.by_event = event == PTRACE_EVENT_STOP;
  if (event == 0) thread.signal = signal;
  thread.outcome = thread.by_event && signal != SIGTRAP ? StopOutcome::already_stopped : StopOutcome::held;
  Registers registers;
  if (std::optional<std::string> why = read_registers(thread.tid, registers)) {
    thread.gap = *std::move(why);
  } else {
    thread.registers = registers;
  }
  return true;
}

void StoppedThreads::wait_for(StoppedThread& thread, const ThreadBefore& before, StopBounds bounds,
                              Clock::time_point since) {
  const auto ended = [&thread] {
    thread.outcome = StopOutcome::exited;
    thread.gap = "the thread ended while it was being stopped";
  };
  const auto unstoppable = [&thread](const char* why) {
    thread.outcome = StopOutcome::unstoppable;
    thread.gap = std::string("it did not stop in time: ") + why;
  };
  const Clock::time_point ask_again = Clock::now() + patience_with_sleeper;
  // All of them are on their way to stop while we look at the first: after that one, the next is mostly
  // there.
  unsigned tries = 0;
  while (!look_at(thread)) {
    const Clock::time_point now = Clock::now();
    if (now >= since + bounds.running) {
      return unstoppable("it got no processor to run on, or sleeps uninterruptibly");
    }
    // Sleeps of a page fault are short: only one that still sleeps is given up early.
    if (before.state == 'D' && now >= ask_again) {
      const char state = state_now(before.stat);
      if (state == 'D' || (state == '?' && now >= since + bounds.sleeping)) {
        return unstoppable("it sleeps uninterruptibly in the kernel");
      }
    }
    // A leader that ends while its threads live on stays for as long as they do, and no wait tells of it.
    if (thread.tid == pid_ && tries % 16 == 15) {
      const char state = state_now(stat_);
      if (state == 'Z' || state == 'X') return ended();
    }
    if (++tries < 8) {
      ::sched_yield();
    } else {
      const timespec pause{0, tries < 64 ? 20'000 : 500'000};
      ::nanosleep(&pause, nullptr);
    }
  }
}

// Those that wait outside come last: what they do matters least to the others.
template <typename BeforeOf>
void StoppedThreads::stop_range(std::size_t first, std::size_t end, const BeforeOf& before_of,
                                StopBounds bounds) {
  std::vector<std::size_t> inside, outside;
  inside.reserve(end - first);
  for (std::size_t i = first; i < end; ++i) {
    if (threads_[i].seized) (before_of(threads_[i].tid).waits_outside ? outside : inside).push_back(i);
  }
  const auto stop_these = [&](std::span<const std::size_t> these) {
    for (const std::size_t i : these) interrupt(threads_[i]);
    // Who sleeps uninterruptibly last: it may cost some time, and the others should be known to stand by
    // then.
    for (const bool sleepers : {false, true}) {
      for (const std::size_t i : these) {
        StoppedThread& thread = threads_[i];
        if (thread.outcome != StopOutcome::not_tried) continue;
        const ThreadBefore& known = before_of(thread.tid);
        if ((known.state == 'D') == sleepers) wait_for(thread, known, bounds, *first_interrupt_);
      }
    }
  };
  stop_these(inside);
  std::span<const std::size_t> left(outside);
  for (std::size_t count = first_outside; !left.empty(); count = std::min(count * 2, most_outside)) {
    if (first_interrupt_ && Clock::now() >= *first_interrupt_ + bounds.outside) break;
    stop_these(left.first(std::min(count, left.size())));
    left = left.subspan(std::min(count, left.size()));
  }
  for (const std::size_t i : left) {
    threads_[i].gap = "the pause budget left no time to stop it: it waits for something outside the process";
  }
}

int StoppedThreads::stop(const std::vector<ThreadBefore>& before, StopBounds bounds) {
  std::unordered_map<pid_t, const ThreadBefore*> by_tid;
  threads_.reserve(before.size() + 64);
  known_.reserve(before.size() * 2 + 64);
  by_tid.reserve(before.size());
  for (const ThreadBefore& thread : before) {
    by_tid.emplace(thread.tid, &thread);
    if (!known_.contains(thread.tid)) seize(thread.tid, thread.state);
  }
  const ThreadBefore unknown;
  const auto before_of = [&](pid_t tid) -> const ThreadBefore& {
    const auto found = by_tid.find(tid);
    return found == by_tid.end() ? unknown : *found->second;
  };

  std::vector<pid_t> fresh;
  // Seizing stops nobody, so whoever came meanwhile is found before anybody stands.
  for (int round = 0; round < 3 && list_new(fresh) && !fresh.empty(); ++round) {
    for (const pid_t tid : fresh) seize(tid, '?');
  }
  if (std::none_of(threads_.begin(), threads_.end(), [](const StoppedThread& t) { return t.seized; })) {
    return seize_error_ == 0 ? ESRCH : seize_error_;
  }

  std::size_t next = 0;
  const Clock::time_point since = Clock::now();
  for (std::size_t round = 0;; ++round) {
    stop_range(next, threads_.size(), before_of, bounds);
    next = threads_.size();
    if (all_are_known()) break;
    if (!list_new(fresh)) {
      gap_ = "the list of threads could not be read to its end";
      break;
    }
    if (fresh.empty()) break;
    if (round == max_rounds || Clock::now() >= since + bounds.running) {
      gap_ = "threads were started faster than they could be stopped";
      break;
    }
    for (const pid_t tid : fresh) seize(tid, '?');
  }
  return 0;
}

int StoppedThreads::stop_one(const ThreadBefore& before, std::chrono::milliseconds bound) {
  seize(before.tid, before.state);
  StoppedThread& thread = threads_.back();
  if (!thread.seized) return seize_error_ == 0 ? ESRCH : seize_error_;
  interrupt(thread);
  if (thread.outcome == StopOutcome::not_tried) wait_for(thread, before, {bound, bound}, Clock::now());
  return 0;
}

void StoppedThreads::release() {
  if (released_) return;
  released_ = true;
  for (const StoppedThread& thread : threads_) {
    // One that has not stopped is let go by the end of this thread of ours, and keeps the signal that it may
    // be stopping for just now, which a detach would take from it (ptrace_detach, kernel/ptrace.c at v6.1).
    if (!thread.seized || thread.outcome == StopOutcome::not_tried ||
        thread.outcome == StopOutcome::unstoppable)
      continue;
    ::ptrace(PTRACE_DETACH, thread.tid, nullptr,
             reinterpret_cast<void*>(static_cast<std::intptr_t>(thread.signal)));
  }
  last_detach_ = Clock::now();
}

}  // namespace pythreads::attach
