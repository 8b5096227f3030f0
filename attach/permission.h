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
  char state = '?';  // of the leader, or of a living thread where the leader has ended
  bool kernel_thread = false;
  bool is_ourselves = false;
  bool is_our_descendant = false;
  pid_t parent_pid = 0;
  pid_t tracer_pid = 0;
  std::string tracer_name;
  std::optional<uid_t> target_uid;          // effective
  std::optional<uid_t> proc_owner;          // of /proc/PID/stat: root's when the target is not dumpable
  std::optional<bool> ids_are_ours;         // its real, effective and saved ids are our real ones
  std::uint64_t target_capabilities = 0;    // permitted
  std::optional<bool> same_user_namespace;  // by uid_map, which anybody may read
  std::optional<int> yama_scope;            // none: no Yama in this kernel

  uid_t our_uid = 0;                   // effective
  std::uint64_t our_capabilities = 0;  // effective
  bool in_first_user_namespace = true;
  bool root_would_have_it = true;    // CAP_SYS_PTRACE is in our bounding set and no NoNewPrivs
  bool we_are_filtered = false;      // Seccomp: 2
  std::string security_label;        // AppArmor's or SELinux's name for us; empty: unconfined or none
  std::optional<bool> ptrace_works;  // PTRACE_SEIZE on a child of our own; none: not tried

  bool may_trace_all() const;  // CAP_SYS_PTRACE
};

// Reads them. Forks a child to try ptrace on where nothing else explains the failure.
PtraceFacts read_ptrace_facts(const ProcDir& folder, pid_t pid);

// What of it is ours, whatever the process: user, capabilities, Yama, and whether ptrace works at all.
PtraceFacts read_own_ptrace_facts();

// Pure: the table of reasons.
Error explain_ptrace_failure(const PtraceFacts& facts, pid_t pid, int error_number);

// ErrorCodes: process_ended, zombie, already_traced, not_permitted, unreadable. `error_number` is that of
// ptrace, process_vm_readv, or of opening one of its files.
Error explain_ptrace_failure(const ProcDir& folder, pid_t pid, int error_number);

}  // namespace pythreads::attach
