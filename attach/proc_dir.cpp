#include "attach/proc_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <system_error>

#include "attach/proc_parse.h"
#include "attach/process_tree.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t small_file = std::size_t{64} << 10;
constexpr std::size_t command_line_limit = std::size_t{8} << 20;
// max_map_count may be raised to 2^31; a million lines of a hundred bytes is past all that was ever seen.
constexpr std::size_t maps_limit = std::size_t{256} << 20;
constexpr std::size_t most_threads = std::size_t{1} << 22;  // PID_MAX_LIMIT

std::string reason(int error_number) {
  return std::generic_category().message(error_number);
}

std::uint64_t ticks_to_ms(std::uint64_t ticks) {
  static const auto per_second = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  return ticks / per_second * 1000 + ticks % per_second * 1000 / per_second;
}

// By the two clocks and not by btime of /proc/stat, which is cut to seconds and costs a walk over all
// interrupts.
std::optional<std::chrono::system_clock::time_point> when_started(std::uint64_t start_ticks) {
  timespec since_boot{};
  if (::clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0) return std::nullopt;
  std::uint64_t started_ms = ticks_to_ms(start_ticks);
  auto now_ms = static_cast<std::uint64_t>(since_boot.tv_sec) * 1000 +
                static_cast<std::uint64_t>(since_boot.tv_nsec) / 1000000;
  if (started_ms > now_ms) return std::nullopt;
  return std::chrono::system_clock::now() - std::chrono::milliseconds(now_ms - started_ms);
}

// "TID/name", without an allocation: four a thread.
struct TaskFile {
  std::array<char, 48> path{};
  TaskFile(pid_t tid, std::string_view name) {
    char* end = std::to_chars(path.data(), path.data() + 16, tid).ptr;
    *end++ = '/';
    std::copy(name.begin(), name.end(), end);
  }
};

}  // namespace

Result<ProcDir> ProcDir::open(pid_t pid) {
  if (pid <= 0) return Error{ErrorCode::no_such_process, "no process has the pid " + std::to_string(pid), {}};
  if (Result<void> ours = check_proc_is_ours(); !ours) return std::move(ours).error();
  std::string path = "/proc/" + std::to_string(pid);
  ScopedFd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) {
    if (errno != ENOENT) return Error{ErrorCode::unreadable, "opening " + path + ": " + reason(errno), {}};
    if (::kill(pid, 0) == 0 || errno == EPERM)
      return Error{ErrorCode::not_permitted,
                   "process " + std::to_string(pid) + " exists and /proc hides it from this user (hidepid)",
                   {}};
    return Error{ErrorCode::no_such_process, "no process has the pid " + std::to_string(pid), {}};
  }
  ProcDir dir(pid, std::move(folder));
  Result<std::string> text = dir.read_file("status", small_file);
  if (!text) {
    if (text.error().code == ErrorCode::process_ended)
      return Error{ErrorCode::no_such_process, "no process has the pid " + std::to_string(pid), {}};
    return std::move(text).error();
  }
  Status status = parse_status(*text);
  if (status.tgid && *status.tgid != pid) {
    std::string process = std::to_string(*status.tgid);
    return Error{ErrorCode::no_such_process,
                 std::to_string(pid) + " is a thread of process " + process + " and not a process",
                 "give the pid " + process};
  }
  dir.nested_namespace_ = status.namespace_pids.size() > 1;
  dir.task_ = ScopedFd(::openat(dir.fd(), "task", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (status.state == 'Z' && status.threads.value_or(1) > 1) {
    Result<std::vector<pid_t>> threads = dir.list_threads();
    for (std::size_t i = 1; threads && i < threads->size(); ++i) {
      std::string task = "task/" + std::to_string((*threads)[i]) + "/";
      Result<std::string> stat = dir.read_file((task + "stat").c_str(), small_file);
      if (!stat) continue;
      std::optional<StatLine> parsed = parse_stat(*stat);
      if (!parsed || parsed->state == 'Z' || parsed->state == 'X') continue;
      dir.memory_folder_ = std::move(task);
      break;
    }
  }
  return dir;
}

Result<ProcDir> ProcDir::open_folder(const std::string& path) {
  ScopedFd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return Error{ErrorCode::unreadable, "opening " + path + ": " + reason(errno), {}};
  ProcDir dir(0, std::move(folder));
  Result<std::string> text = dir.read_file("stat", small_file);
  if (!text) return std::move(text).error().within(path);
  std::optional<StatLine> stat = parse_stat(*text);
  if (!stat) return Error{ErrorCode::corrupt, path + ": stat does not parse", {}};
  dir.pid_ = stat->pid;
  if (Result<std::string> status = dir.read_file("status", small_file))
    dir.nested_namespace_ = parse_status(*status).namespace_pids.size() > 1;
  dir.task_ = ScopedFd(::openat(dir.fd(), "task", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return dir;
}

Error ProcDir::failure(const char* relative, int error_number) const {
  std::string process = std::to_string(pid_);
  // A folder whose process is gone answers ESRCH to a read and ENOENT to an open, whatever the name.
  struct stat seen {};
  bool gone = error_number == ESRCH ||
              (error_number == ENOENT && ::fstatat(fd(), "stat", &seen, AT_SYMLINK_NOFOLLOW) != 0);
  if (gone) return {ErrorCode::process_ended, "process " + process + " has ended", {}};
  bool denied = error_number == EACCES || error_number == EPERM;
  return {denied ? ErrorCode::not_permitted : ErrorCode::unreadable,
          "reading " + std::string(relative) + " of process " + process + ": " + reason(error_number),
          {}};
}

Result<std::string> ProcDir::read_at(int folder, const char* relative, std::size_t limit, Reads reads) const {
  ScopedFd file(::openat(folder, relative, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.is_open()) return failure(relative, errno);
  std::array<char, 16 << 10> part;  // NOLINT: filled by read
  std::string text;
  for (;;) {
    ssize_t count = 0;
    do {
      count = ::read(file.get(), part.data(), part.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0) return failure(relative, errno);
    if (count == 0) return text;
    auto got = static_cast<std::size_t>(count);
    if (got > limit - text.size())
      return Error{ErrorCode::unreadable,
                   std::string(relative) + " of process " + std::to_string(pid_) + " is larger than " +
                       std::to_string(limit) + " bytes",
                   {}};
    text.append(part.data(), got);
    if (reads == Reads::one && got < part.size()) return text;
  }
}

Result<std::string> ProcDir::read_task(pid_t tid, std::string_view name) const {
  return read_at(task_.get(), TaskFile(tid, name).path.data(), small_file, Reads::one);
}

Result<std::string> ProcDir::read_file(const char* relative, std::size_t limit) const {
  return read_at(fd(), relative, limit);
}

Result<ScopedFd> ProcDir::open_file(const char* relative, int flags) const {
  ScopedFd file(::openat(fd(), relative, flags | O_CLOEXEC));
  if (!file.is_open()) return failure(relative, errno);
  return file;
}

Result<std::string> ProcDir::read_link(const char* relative) const {
  std::array<char, PATH_MAX> target;  // NOLINT: filled by readlinkat
  ssize_t length = ::readlinkat(fd(), relative, target.data(), target.size());
  if (length < 0) return failure(relative, errno);
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<std::vector<pid_t>> ProcDir::list_threads() const {
  Result<ScopedFd> folder = open_file("task", O_RDONLY | O_DIRECTORY);
  if (!folder) return std::move(folder).error();
  std::vector<pid_t> threads;
  alignas(dirent64) std::array<char, 32 << 10> entries;  // NOLINT: filled by getdents64
  for (;;) {
    long count = ::syscall(SYS_getdents64, folder->get(), entries.data(), entries.size());
    if (count < 0) return failure("task", errno);
    if (count == 0) break;
    for (long at = 0; at < count;) {
      // The kernel wrote whole records; their length is 16 bytes in, the name 19.
      std::uint16_t length = 0;
      std::memcpy(&length, entries.data() + at + offsetof(dirent64, d_reclen), sizeof length);
      const char* name = entries.data() + at + offsetof(dirent64, d_name);
      at += length;
      pid_t tid = 0;
      const char* name_end = name + std::strlen(name);
      auto [end, failed] = std::from_chars(name, name_end, tid);
      if (failed == std::errc{} && end == name_end && tid > 0) threads.push_back(tid);
    }
    if (threads.size() > most_threads)
      return Error{ErrorCode::corrupt, "more threads than there are pids", {}};
  }
  if (threads.empty())
    return Error{ErrorCode::process_ended, "process " + std::to_string(pid_) + " has ended", {}};
  std::sort(threads.begin(), threads.end(),
            [this](pid_t a, pid_t b) { return a == pid_ ? b != pid_ : b != pid_ && a < b; });
  return threads;
}

Result<std::vector<Mapping>> ProcDir::read_mappings() const {
  const Result<std::string> text = read_file((memory_folder_ + "maps").c_str(), maps_limit);
  return text ? mappings_of(*text) : text.error();
}

Result<std::vector<Mapping>> ProcDir::mappings_of(std::string_view text) const {
  Maps maps = parse_maps(text);
  if (maps.bad_line)
    return Error{ErrorCode::corrupt,
                 "line " + std::to_string(*maps.bad_line) + " of the maps of process " +
                     std::to_string(pid_) + " does not parse",
                 {}};
  if (Result<std::string> root = read_link((memory_folder_ + "root").c_str())) {
    for (Mapping& mapping : maps.mappings) cut_root(mapping.path, *root);
  }
  // Each page of the file is a look of its own; between two the target may have mapped something.
  std::stable_sort(maps.mappings.begin(), maps.mappings.end(),
                   [](const Mapping& a, const Mapping& b) { return a.range.begin < b.range.begin; });
  return std::move(maps.mappings);
}

Result<Process> ProcDir::read_process() const {
  Process process;
  process.pid = pid_;
  Result<std::string> text = read_file("stat", small_file);
  if (!text && text.error().code == ErrorCode::process_ended) return std::move(text).error();
  std::optional<StatLine> stat = text ? parse_stat(*text) : std::nullopt;
  if (stat) {
    process.parent_pid = stat->parent_pid;
    process.start_ticks = stat->start_ticks;
    process.started_at = when_started(stat->start_ticks);
    process.state = stat->state;
  } else {
    for (const char* name : {"parent_pid", "start_ticks", "started_at", "state"})
      process.unread.emplace_back(name);
  }

  text = read_file("status", small_file);
  Status status = text ? parse_status(*text) : Status{};
  process.namespace_pids = std::move(status.namespace_pids);
  if (status.uids) {
    process.uid = (*status.uids)[1];
  } else {
    process.unread.emplace_back("uid");
  }

  if (Result<std::string> words = read_file("cmdline", command_line_limit)) {
    process.command = parse_command_line(*words);
  } else {
    process.unread.emplace_back("command");
  }

  Result<std::string> root = read_link((memory_folder_ + "root").c_str());
  std::string top = root ? *root : "/";
  if (Result<std::string> exe = read_link((memory_folder_ + "exe").c_str())) {
    process.executable = *std::move(exe);
    process.executable_deleted = cut_deleted(process.executable);
    cut_root(process.executable, top);
  } else {
    process.unread.emplace_back("executable");
  }
  if (Result<std::string> folder = read_link((memory_folder_ + "cwd").c_str())) {
    process.working_directory = *std::move(folder);
    cut_root(process.working_directory, top);
  } else {
    process.unread.emplace_back("working_directory");
  }

  if (Result<std::string> cgroup = read_file("cgroup", small_file)) {
    process.cgroup = parse_cgroup(*cgroup);
    process.container_id = find_container_id(*cgroup);
  } else {
    process.unread.emplace_back("cgroup");
  }
  return process;
}

Result<ThreadState> ProcDir::read_thread(pid_t tid) const {
  ThreadState thread;
  thread.tid = tid;
  thread.namespace_tid = tid;
  Result<std::string> text = read_task(tid, "stat");
  std::optional<StatLine> stat = text ? parse_stat(*text) : std::nullopt;
  if (!stat) {
    struct stat seen {};
    bool gone = !text && ::fstatat(task_.get(), TaskFile(tid, "stat").path.data(), &seen, 0) != 0;
    if (gone) return Error{ErrorCode::process_ended, "thread " + std::to_string(tid) + " has ended", {}};
    if (!text) return std::move(text).error();
    return Error{ErrorCode::corrupt, "stat of thread " + std::to_string(tid) + " does not parse", {}};
  }
  thread.state = stat->state;
  thread.cpu_ms = ticks_to_ms(stat->utime_ticks + stat->stime_ticks);
  thread.os_name = std::move(stat->comm);
  if (thread.os_name.find('\\') != std::string::npos) {
    // Escaped or not, by the kernel's age: comm is always raw.
    if (Result<std::string> comm = read_task(tid, "comm")) {
      thread.os_name = *std::move(comm);
      if (thread.os_name.ends_with('\n')) thread.os_name.pop_back();
    }
  }

  if (nested_namespace_) read_status(thread);

  Result<std::string> line = read_task(tid, "syscall");
  std::optional<SyscallLine> call = line ? parse_syscall(*line) : std::nullopt;
  if (!call) {
    // Not in kernels without CONFIG_HAVE_ARCH_TRACEHOOK, and refused without the right to trace.
    thread.gap = line ? "its system call does not parse" : std::move(line).error().message;
  } else if (!call->running && call->number >= 0) {
    thread.kernel_wait = KernelWait{.number = call->number, .arguments = call->arguments};
    thread.kernel_wait->restarted = call->number == SYS_restart_syscall;
  }
  if (call && !call->running && call->sp != 0) thread.sleeping_sp = Address(call->sp);
  // Of use only where the call itself does not tell what it is.
  if (!call || (!call->running && (call->number < 0 || call->number == SYS_restart_syscall))) {
    Result<std::string> channel = read_task(tid, "wchan");
    if (channel && *channel != "0") thread.wait_channel = *std::move(channel);
  }
  return thread;
}

void ProcDir::read_status(ThreadState& thread) const {
  const Result<std::string> lines = read_task(thread.tid, "status");
  if (!lines) return;
  const Status status = parse_status(*lines);
  if (status.voluntary_switches && status.involuntary_switches)
    thread.switches = *status.voluntary_switches + *status.involuntary_switches;
  thread.seccomp = status.seccomp;
  thread.seccomp_filters = status.seccomp_filters;
  if (nested_namespace_ && !status.namespace_pids.empty())
    thread.namespace_tid = status.namespace_pids.back();
}

}  // namespace pythreads::attach
