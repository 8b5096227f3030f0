// Whether a stop may break what the target sleeps in. poll, a relative nanosleep and a futex wait with a
// timeout go on after a stop by restart_syscall (219), and a seccomp filter that denies that one ends the
// process (SIGSYS) or the call (an errno that it never gives). Filters are of a thread, and nothing but
// ptrace reads them: PTRACE_SECCOMP_GET_FILTER, of a thread that is stopped, with CAP_SYS_ADMIN, by a process
// that has no filter itself.
//
// Asked in the order of what it costs the target:
//   1. no filter, or nobody sleeps in such a call: nothing can break;
//   2. a thread that sleeps in restart_syscall has shown that its filters let it pass;
//   3. one thread that stands for the sleepers is stopped and its filters are evaluated. It must not sleep in
//      such a call itself: one in a call that a stop does not cut short is taken first, a running one last;
//   4. else it is not known. The defaults of Docker, containerd, CRI-O and systemd all allow restart_syscall,
//   so
//      the stop goes on and the report says what was not known.
//
// Threads whose `Seccomp_filters` are equal are taken to have the same filters: they are inherited, and once
// installed never removed.
//
// ptrace(2), seccomp(2), restart_syscall(2); kernel/seccomp.c (seccomp_get_filter) and kernel/signal.c at
// v6.1.
#pragma once

#include <string>
#include <vector>

#include "attach/proc_dir.h"
#include "attach/thread_state.h"

namespace pythreads::attach {

struct RestartCheck {
  bool denied = false;  // don't stop it
  std::string gap;      // a sentence for the report; empty: nothing can break
};

// `threads` as their files say now; the `status` of those that matter is read. `task` and `stat`:
// /proc/PID/task and /proc/PID/stat, opened for reading. May stop single threads for some microseconds.
RestartCheck check_restart(const ProcDir& dir, int task, int stat, std::vector<ThreadState>& threads);

}  // namespace pythreads::attach
