// What /proc/PID says of a process as a whole: plain facts, read before anything is held.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pythreads::attach {

struct Process {
  pid_t pid = 0;  // in our pid namespace
  std::optional<pid_t> parent_pid;
  // The process whose memory this one began with: it forked and did not exec, told by a parent that lives and
  // has the same mappings. None: it began by exec, or that can't be told any more.
  std::optional<pid_t> forked_from;
  std::vector<pid_t>
      namespace_pids;  // NSpid: outermost (ours) first; the last is what the target's getpid() says
  std::uint64_t start_ticks = 0;  // field 22 of stat; with the boot id it tells a reused pid
  std::optional<std::chrono::system_clock::time_point> started_at;
  std::vector<std::string> command;  // raw bytes, may be no UTF-8
  std::string executable;            // readlink of exe, as the target sees it, without " (deleted)"
  bool executable_deleted = false;
  std::string working_directory;
  uid_t uid = 0;
  std::string cgroup;               // the path of the unified hierarchy, or the first line's; empty if unread
  std::string container_id;         // 64 hex digits found in the cgroup path; empty if none
  char state = '?';                 // the leader's state letter of stat
  std::vector<std::string> unread;  // names of fields above that could not be read
};

struct Host {
  std::string name;
  std::string kernel;  // uname release
  std::string arch;    // uname machine
  std::string boot_id;
};

}  // namespace pythreads::attach
