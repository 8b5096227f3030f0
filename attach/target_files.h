// The files that a target has mapped, opened inside *its* root: a container's files are found, a link in them
// can't lead out of it, and nothing else of the host is touched. No other code of pythreads opens a file of a
// target.
//
// By path: openat2(/proc/PID/root, …, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) with O_PATH first; only a
// regular file is reopened for reading (opening a FIFO or a device has effects). Where openat2 is refused
// (old kernels, old container profiles: ENOSYS and EPERM) a walk by component does the same. A deleted or
// replaced file is had by /proc/PID/exe or /proc/PID/map_files, the latter with CAP_SYS_ADMIN or
// CAP_CHECKPOINT_RESTORE.
#pragma once

#include <string_view>

#include "attach/mapping.h"
#include "attach/result.h"
#include "attach/scoped_fd.h"

namespace pythreads::attach {

class TargetFiles {
 public:
  virtual ~TargetFiles() = default;

  // The file behind a mapping, the very inode that is mapped where that can be had.
  virtual Result<ScopedFd> open_mapping(const Mapping& mapping) = 0;

  // A path as the target sees it. ErrorCode::unreadable with the reason.
  virtual Result<ScopedFd> open_path(std::string_view path) = 0;

  // The detached debug file for a build id (hex digits), from /usr/lib/debug/.build-id of the target's root,
  // then of ours. Its own build id is compared by who reads it.
  virtual Result<ScopedFd> open_debug_file(std::string_view build_id) = 0;
};

}  // namespace pythreads::attach
