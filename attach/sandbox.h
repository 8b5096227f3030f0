// What reads what others made, after the target goes on, reads it in a process that can do nothing else
// (read_apart.h). From `enter_sandbox` on a process of ours has no capabilities and gets none back, opens
// nothing (Landlock, where the kernel has it, denies it once more), starts nothing, signals and traces
// nobody, and maps no code: what is left is to read and write what is open, to ask for memory and to end. It
// never needs to be more than who called it: nothing is set-user-ID here. The uid stays, for another one's
// processes could attach to it.
//
// A call that is not on the list fails with EPERM, so that a C library of another make is not killed for
// asking.
//
// seccomp(2), SECCOMP_SET_MODE_FILTER; capabilities(7); landlock(7) (Linux 5.13); prctl(2),
// PR_SET_NO_NEW_PRIVS.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <vector>

namespace pythreads::attach {

// Each as the kernel has it: a kernel without one of them goes on with the others.
struct SandboxParts {
  bool no_capabilities = false;
  bool seccomp = false;
  bool landlock = false;
};

// Of the whole process, which must have one thread. There is no way back.
SandboxParts enter_sandbox();

// What `enter_sandbox` would get here. Changes nothing.
SandboxParts find_sandbox_parts();

// The filter that it sets: for a process with this pid, which may send signals to itself (abort).
std::vector<sock_filter> sandbox_filter(pid_t self);

}  // namespace pythreads::attach
