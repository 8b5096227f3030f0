// A thread as the kernel knows it: its files under /proc/PID/task/TID, read before the stop (a held thread's
// stat says `t` and its wchan `ptrace_stop`), and its registers, read while it was held.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attach/address.h"
#include "attach/architecture.h"

namespace pythreads::attach {

// The system call that a thread sleeps in: from the registers at the stop where it was held, else from
// /proc/PID/task/TID/syscall. `number` is what was called (SYS_restart_syscall only when what it restarts
// could not be told).
struct KernelWait {
  long number = -1;
  std::array<std::uint64_t, 6> arguments{};
  // What interrupted it for our stop, by the return value that the kernel had in its register: -512 to -516
  // are its restart codes (on aarch64 -512 stands for all), -4 is EINTR: the call will fail with EINTR though
  // no signal came. 0: none seen.
  int restart_code = 0;
  bool restarted = false;  // seen as restart_syscall; `number` is what it restarts
};

// The futex that a thread sleeps on, read while it was held.
struct FutexWait {
  Address word;
  bool shared = false;               // between processes: without FUTEX_PRIVATE_FLAG
  std::optional<double> ends_in_ms;  // counted from the stop; none: no time limit, or it could not be read
  // The bytes around the word: glibc keeps the owner of a mutex 8 bytes behind its lock word.
  Address around_begin;
  std::vector<std::byte> around;
  std::string mapping;  // path of the file that the word lies in ("/dev/shm/sem.mp-1"); empty: anonymous
};

enum class StopOutcome {
  not_tried,        // --no-stop, a recording, a core
  held,             // stopped for this look, with registers
  already_stopped,  // group-stopped (SIGSTOP) before we came; held, and left stopped
  exited,           // went away while it was being stopped
  unstoppable,      // did not stop within the bound (uninterruptible sleep), was let go
};

struct ThreadState {
  pid_t tid = 0;
  pid_t namespace_tid = 0;              // as the target's own gettid() says; tid where not in a pid namespace
  std::string os_name;                  // comm, raw bytes
  char state = '?';                     // R S D T t Z X I, the kernel's letter before the stop
  std::optional<std::uint64_t> cpu_ms;  // utime + stime
  std::optional<std::uint64_t> switches;  // voluntary + involuntary context switches
  std::string wait_channel;               // wchan, where its call does not tell what it is; else empty
  std::optional<int> seccomp;             // 0 none, 1 strict, 2 filter
  std::optional<int> seccomp_filters;     // how many; none before Linux 5.9
  StopOutcome outcome = StopOutcome::not_tried;
  std::optional<Registers> registers;
  std::optional<KernelWait> kernel_wait;  // none: it was not in a system call
  std::optional<FutexWait> futex;         // of a kernel_wait that is a futex wait
  std::optional<Address> sleeping_sp;     // the stack pointer of one that slept before the stop
  Range stack;      // [sp - red zone, end of the mapping) as far as it was copied; size 0: none
  std::string gap;  // why registers or stack are missing; empty if they are not

  // As it was at the stop; where it was not stopped, as it was when it was seen asleep.
  std::optional<Address> stack_pointer() const { return registers ? registers->sp() : sleeping_sp; }
  bool is_held() const { return outcome == StopOutcome::held || outcome == StopOutcome::already_stopped; }
};

}  // namespace pythreads::attach
