// Native and Python frames in one order. A run of the evaluation loop's native frames is replaced by the
// Python frames that it ran: up to 3.10 one, from 3.11 on as many as were called without leaving the loop.
// The entry frames tell (PyFrame::entry): from the innermost on, the frames up to and including one that C
// entered belong to one activation of the loop (Python/ceval.c, _PyEval_EvalFrameDefault, at v3.8 to v3.15).
//
// Neither kind is ever dropped. Where the counts don't match (the loop's cold part has no name in a stripped
// build, the walk ended early, a JIT's code has no unwind tables) the two are listed apart, and a gap says
// so.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/analysis/joined_threads.h"

namespace pythreads::report {

enum class MixedKind { python, native, gap };

struct MixedFrame {
  MixedKind kind = MixedKind::python;
  std::size_t index = 0;  // into PyThread::frames or NativeStack::frames
  std::string reason;     // of a gap
};

// What a gap that speaks of the native stack begins with: it is not shown where native frames are not.
inline constexpr const char* native_gap_prefix = "native stack: ";

// Innermost first. Trampolines (CPython's own shims) are left out, as faulthandler leaves them out.
std::vector<MixedFrame> python_stack(const JoinedThread& thread);
std::vector<MixedFrame> mixed_stack(const JoinedThread& thread);

}  // namespace pythreads::report
