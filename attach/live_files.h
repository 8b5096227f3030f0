// `TargetFiles` of a living process. The files are those of its root and its mount namespace
// (/proc/PID/root), and never one that a link leads to outside of it.
//
// Which file is behind a mapping: the one at its path where device and inode are those of the mapping; else
// /proc/PID/exe when it is the executable's mapping; else /proc/PID/map_files (CAP_SYS_ADMIN or
// CAP_CHECKPOINT_RESTORE in the initial user namespace); else the very inode at its path in our own root,
// when the target shares our mounts (it was mapped before a chroot); last the one at its path though its
// numbers differ, for overlayfs and btrfs give stat(2) other numbers than maps. So the numbers prefer and
// never judge: who reads the file compares its build id with the mapped one.
//
// A file is opened with O_PATH first, which has no effect on what it is, and reopened for reading only when
// it is a regular one. openat2(2), RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS, Linux 5.6.
#pragma once

#include <memory>
#include <string_view>

#include "attach/proc_dir.h"
#include "attach/result.h"
#include "attach/scoped_fd.h"
#include "attach/target_files.h"

namespace pythreads::attach {

// Holds descriptors of its own: `folder` need not outlive it. Always gives one; where the root can't be
// opened, each call says why.
std::unique_ptr<TargetFiles> make_target_files(const ProcDir& folder);

// A path under `root`, as if `root` were /, to an O_PATH descriptor. `walk_by_component` is what is done
// where openat2 is refused; both resolve links inside of `root` and stop at the 40th.
Result<ScopedFd> resolve_in_root(int root, std::string_view path);
Result<ScopedFd> walk_by_component(int root, std::string_view path);

// Reopens an O_PATH descriptor for reading if it is a regular file.
Result<ScopedFd> reopen_regular(const ScopedFd& found);

}  // namespace pythreads::attach
