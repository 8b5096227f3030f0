// The threads of a snapshot as the kernel's and CPython's view of each, side by side. Joined by tid: that is
// how the reader of thread states found its OS thread (pthread_self() is the ident, CPython's
// Modules/_threadmodule.c and glibc's pthread_self()).
//
// One entry for each Python thread state and for each OS thread without one. An OS thread that has several
// states (of interpreters that it entered) appears once for each, the one that runs first.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/snapshot.h"

namespace pythreads::report {

struct JoinedThread {
  pid_t pid = 0;
  const SnapshotThread* os = nullptr;          // null: the kernel knows no such thread (any more)
  const pyframes::PyThread* python = nullptr;  // null: a native thread
  const pyframes::PyInterpreter* interpreter = nullptr;
  const pyframes::PyRuntimeState* runtime = nullptr;
  // Of an OS thread with several states: how many runs of Python frames stand above and below this one's.
  std::size_t runs_above = 0, runs_below = 0;

  const pyframes::PySyncObject* slept_on() const;  // the object of its lock_wait; null: none
  // Another state of the same OS thread runs above it, and is listed before it.
  bool is_suspended() const { return python != nullptr && python->suspended; }
  pid_t tid() const;
  bool held() const;          // stopped for this look
  std::string label() const;  // "\"worker\" (tid 12)", as sentences name it
};

// How many evaluation loops ran the frames: those that begin with an entry frame, and one that is cut.
std::size_t count_runs(const pyframes::PyThread& thread);

// The leader first, then by tid as the snapshot has them; thread states without an OS thread last. Points
// into `snapshot`.
std::vector<JoinedThread> join_threads(const Snapshot& snapshot);

}  // namespace pythreads::report
