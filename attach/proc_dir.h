// A /proc/PID folder, opened once: everything that is read of a process by name is opened under this one
// descriptor, so that a pid used again by another process is noticed (ESRCH) and never read. A folder of the
// same shape elsewhere (a recording) can be opened as well.
//
// What a file says is parsed by pure functions (proc_parse.h). A file that can't be read is a gap beside the
// facts that it would have filled; only what makes the whole look pointless is an `Error`. ErrorCodes:
// no_such_process (open), process_ended (later), not_permitted, unreadable, corrupt.
//
// proc(5); fs/proc/base.c and fs/proc/array.c at v6.1.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "attach/mapping.h"
#include "attach/process.h"
#include "attach/result.h"
#include "attach/scoped_fd.h"
#include "attach/thread_state.h"

namespace pythreads::attach {

class ProcDir {
 public:
  // Says so when `pid` is a thread's and not a process's: the error names the process.
  static Result<ProcDir> open(pid_t pid);

  // A recorded one: nothing is asked of a living process.
  static Result<ProcDir> open_folder(const std::string& path);

  pid_t pid() const { return pid_; }
  int fd() const { return folder_.get(); }  // O_PATH

  // Where `maps`, `mem`, `exe` and `root` are to be opened: "" as a rule; "task/TID/" where the leader has
  // ended (pthread_exit in the main thread) and other threads live on, for its own files are then empty.
  const std::string& memory_folder() const { return memory_folder_; }

  // The whole file; more than `limit` bytes is an error (unreadable), never a part of it.
  Result<std::string> read_file(const char* relative, std::size_t limit) const;

  // `flags` as for openat(2); O_CLOEXEC is added.
  Result<ScopedFd> open_file(const char* relative, int flags) const;

  // Where a link of the folder leads, as bytes (exe, root, cwd).
  Result<std::string> read_link(const char* relative) const;

  // The leader first, then by tid. May be asked while the target is held: opens nothing but /proc/PID/task.
  Result<std::vector<pid_t>> list_threads() const;

  // In the order of addresses. Paths are as the target sees them: the prefix of a chroot is cut off. A line
  // that can't be parsed is an error (corrupt), for a list with a hole would be believed.
  Result<std::vector<Mapping>> read_mappings() const;

  // The same of a text that was read already.
  Result<std::vector<Mapping>> mappings_of(std::string_view text) const;

  // Fails only when the process is gone; what could not be read is named in `unread`.
  Result<Process> read_process() const;

  // Two or three files of /proc/PID/task/TID: all but what read_status tells. ErrorCode::process_ended when
  // the thread is gone. Files that may not be read leave their fields empty and a `gap`.
  Result<ThreadState> read_thread(pid_t tid) const;

  // `status`, the dearest of the files: context switches and seccomp, and the number in a nested pid
  // namespace (which read_thread asks for by itself where there is one).
  void read_status(ThreadState& thread) const;

 private:
  ProcDir(pid_t pid, ScopedFd folder) : pid_(pid), folder_(std::move(folder)) {}

  // Reads::one is for files that the kernel writes at once, so that a read that does not fill its buffer is
  // the last (fs/seq_file.c, single_open, at v6.1): those of a thread.
  enum class Reads { to_end, one };
  Result<std::string> read_at(int folder, const char* relative, std::size_t limit,
                              Reads reads = Reads::to_end) const;
  Result<std::string> read_task(pid_t tid, std::string_view name) const;
  Error failure(const char* relative, int error_number) const;

  pid_t pid_ = 0;
  ScopedFd folder_;
  ScopedFd task_;
  std::string memory_folder_;
  bool nested_namespace_ = false;  // the target is in a pid namespace below ours
};

}  // namespace pythreads::attach
