// The Python frames of all threads: chained while held, named after the release.
//
// The chains are followed in waves, one level of all threads at a time, so that a hundred stacks cost as many
// system calls as the deepest has frames, and from 3.11 on far fewer: the used part of each thread's data
// stack is fetched before. Code objects are not touched while held; they don't change.
//
// Shim frames are left out. Frames that have not come to their first RESUME (_PyFrame_IsIncomplete) are left
// out by sys._current_frames; here they are marked `trampoline`, for one may stand for a run of native
// frames. Sources: Include/internal/pycore_frame.h, Python/traceback.c, Python/pystate.c (push_chunk) at
// v3.11.0 to v3.15.0; Objects/frameobject.c to 3.10.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Fills ThreadCopy::frames. The first part of both walks.
void chain_frames(Reading& reading, RuntimeCopy& copy);

// PyThread::frames, with names and lines: one for each ThreadCopy::frames, in the same order.
void read_frames(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

// Offset in bytes of the instruction that the frame is at: the last one executed, or the call that it is in.
// -1 before the first; none where the frame's pointer does not lie in its code.
std::optional<std::int64_t> instruction_of(Reading& reading, const FrameCopy& frame, const Code& code);

// The dict of the frame's module; null where the frame does not tell.
attach::Address globals_of(const RuntimeLayout& layout, const FrameCopy& frame);

// `__name__` of the frame's globals; empty if that can't be told. Kept for the look.
const attach::SharedText& module_of(Reading& reading, const FrameCopy& frame);
// The same of a function's globals.
const attach::SharedText& module_of(Reading& reading, attach::Address globals);

// Whether that module is one of library_modules.h.
bool is_library_frame(Reading& reading, const FrameCopy& frame);

}  // namespace pythreads::pyframes
