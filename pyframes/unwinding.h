// Whether an exception may be on its way out of a frame at this very moment. From 3.11 on a handler's RERAISE
// sets the frame's instruction back to where the exception was raised, so that tracebacks are right, and goes
// on to the next handler from another place: for that moment the frame seems to be inside of blocks that have
// been left already. It lasts until the next handler runs, or, where the unwinding drops a generator, as long
// as the generator's own cleaning up. To 3.10 the block stack is unwound with the frame and tells the truth.
// Source: Python/bytecodes.c (RERAISE), Python/ceval.c (exception_unwind) at v3.11.0 to v3.15.0.
#pragma once

#include <cstddef>

#include "pyframes/reading.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {

// The thread says that it is raising, or the frame's own value stack looks as an exception leaves it that
// went through the block.
bool may_be_left(Reading& reading, const ThreadCopy& thread, std::size_t frame, const OpenWith& block);

}  // namespace pythreads::pyframes
