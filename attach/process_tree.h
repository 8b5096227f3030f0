// Which process stands below which, and which has a pid by another name: what is asked when the pid that the
// user gave is not the one that is meant. Nothing is attached to, files of /proc are read and no more.
//
// proc(5), /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN; else the parents of all processes are read);
// pid_namespaces(7), NSpid in /proc/PID/status.
#pragma once

#include <sys/types.h>

#include <vector>

#include "attach/result.h"

namespace pythreads::attach {

// All that /proc shows here, in no order. Bounded.
std::vector<pid_t> list_processes();

// As /proc shows them here, so of pid namespaces below ours too, with the pids that they have here. By pid.
// Empty where there are none or it is not known.
std::vector<pid_t> list_children(pid_t pid);

// The processes that have this pid inside of a pid namespace below ours. Bounded.
std::vector<pid_t> find_by_inner_pid(pid_t inner);

// An error (unreadable) where /proc is of another pid namespace than we are: its numbers name other processes
// to the kernel's calls than to its files.
Result<void> check_proc_is_ours();

}  // namespace pythreads::attach
