// Which process the user may have meant by a pid that leads to no Python: the pid is that of a wrapper (sh,
// tini, `uv run`) with the Python below it, or one that stands inside of a container. Added to the error as
// its hint; nothing is stopped for it.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "attach/result.h"

namespace pythreads::cli {

// The topmost Pythons below a process that is none: one is named with the command to give, several are
// listed, and that there is none is said.
attach::Error point_to_python(attach::Error error, pid_t pid, std::chrono::steady_clock::time_point deadline);

// For no_such_process: the processes that have this pid inside of their own pid namespace.
attach::Error point_to_inner(attach::Error error, pid_t pid);

}  // namespace pythreads::cli
