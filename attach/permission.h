// Why the kernel does not let us at a process. ptrace(2) answers EPERM for a dozen reasons; which one it was
// is found out by looking at each, in the order in which the kernel asks (kernel/ptrace.c at v6.1,
// ptrace_attach and __ptrace_may_access; security/yama/yama_lsm.c). A hint is given only where the check
// proved the cause; a cause that could not be told apart is said to be unknown, with what was looked at.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "attach/proc_dir.h"
#include "attach/result.h"

namespace pythreads::attach {

// What was looked at. Empty: could not be read, or there is no such thing on this kernel.
struct PtraceFacts {
  bool exists = true;
  char state = '?';  // the target's, as in stat
  bool kernel_thread = false;
  bool is_ourselves = false;
  pid_t tracer_pid = 0;
  std::string tracer_name;
  std::optional<uid_t> target_uid;        // real
  bool target_ids_are_ours = true;        // real, effective and saved, uid and gid, all ours
  std::optional<uid_t> proc_owner;        // of /proc/PID/stat: root's when not dumpable
  std::uint64_t target_capabilities = 0;  // permitted
  std::optional<bool> same_user_namespace;
  bool target_is_descendant = false;
  std::optional<int> yama_scope;  // none: no Yama in this kernel
  std::string security_label;     // of ours, AppArmor or SELinux; empty if unconfined

  uid_t our_uid = 0;                   // effective
  std::uint64_t our_capabilities = 0;  // effective
  bool we_are_filtered = false;        // Seccomp: 2
  std::optional<bool> ptrace_works;    // on a child of our own; none: not tried
};

// Reads them. Forks a child to try ptrace on where nothing else explains the failure.
PtraceFacts read_ptrace_facts(const ProcDir& folder, pid_t pid);

// Pure: the table of reasons.
Error explain_ptrace_failure(const PtraceFacts& facts, pid_t pid, int error_number);

// ErrorCodes: no_such_process, zombie, already_traced, not_permitted, unreadable.
Error explain_ptrace_failure(const ProcDir& folder, pid_t pid, int error_number);

}  // namespace pythreads::attach
