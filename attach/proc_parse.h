// What the files of /proc say, as pure functions of their bytes. A process chooses much of what stands in
// them (its name, its paths, its arguments), so none of it is trusted: a name may hold spaces, parentheses
// and line ends, and text that does not parse is said to be so and never half believed.
//
// Formats: proc(5); fs/proc/array.c, fs/proc/base.c and fs/proc/task_mmu.c at v6.1.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attach/mapping.h"

namespace pythreads::attach {

struct Maps {
  std::vector<Mapping> mappings;
  std::optional<std::size_t> bad_line;  // the first that does not parse, from 1; nothing after it is read
};

// The kernel writes a line end in a path as \012 and escapes nothing else, so nothing else is undone.
// " (deleted)" at the end of a path is cut off; a file may really be named so, which who opens it must try.
Maps parse_maps(std::string_view text);

// Makes a path that we see one that is seen from inside of `root`, itself a path as we see it (readlink of
// /proc/PID/root: "/" unless it is a chroot in our mount namespace). A path outside of it stays.
void cut_root(std::string& path, std::string_view root);

// Cuts " (deleted)" off; true if it was there.
bool cut_deleted(std::string& path);

struct StatLine {
  pid_t pid = 0;
  std::string comm;  // since 4.18 with \n and \\ for a line end and a backslash, before that raw
  char state = '?';
  pid_t parent_pid = 0;
  std::uint64_t flags = 0;        // PF_*
  std::uint64_t utime_ticks = 0;  // of sysconf(_SC_CLK_TCK)
  std::uint64_t stime_ticks = 0;
  std::uint64_t start_ticks = 0;  // since boot
};

// Fields up to the 22nd. The name ends at the last ')', for nothing after it can hold one.
std::optional<StatLine> parse_stat(std::string_view text);

// Lines of `status` that we ask for. None: the line is not there (an older kernel) or does not parse.
struct Status {
  std::optional<char> state;
  std::optional<pid_t> tgid;
  std::optional<pid_t> tracer_pid;
  std::optional<std::array<uid_t, 4>> uids;  // real, effective, saved, file system
  std::optional<std::array<gid_t, 4>> gids;
  std::vector<pid_t> namespace_pids;  // NSpid
  std::optional<std::uint64_t> threads;
  std::optional<std::uint64_t> permitted_capabilities;
  std::optional<std::uint64_t> effective_capabilities;
  std::optional<std::uint64_t> bounding_capabilities;
  std::optional<int> no_new_privileges;
  std::optional<int> seccomp;          // 0 none, 1 strict, 2 filter
  std::optional<int> seccomp_filters;  // how many; since 5.9
  std::optional<std::uint64_t> voluntary_switches;
  std::optional<std::uint64_t> involuntary_switches;
};
Status parse_status(std::string_view text);

// `syscall`: a thread on a processor says "running"; one that sleeps outside of a system call (a page fault)
// says -1.
struct SyscallLine {
  bool running = false;
  long number = -1;
  std::array<std::uint64_t, 6> arguments{};
  std::uint64_t sp = 0;
  std::uint64_t pc = 0;
};
std::optional<SyscallLine> parse_syscall(std::string_view text);

// Split at the zeroes; empty arguments are kept.
std::vector<std::string> parse_command_line(std::string_view text);

// The path of the unified hierarchy ("0::"), else that of the first line.
std::string parse_cgroup(std::string_view text);

// The last run of exactly 64 hex digits in a cgroup path: the innermost container.
std::string find_container_id(std::string_view cgroup_file);

}  // namespace pythreads::attach
