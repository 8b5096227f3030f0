// The data stacks of all threads: chunks of 16 KiB and more in which _PyInterpreterFrames lie one behind the
// other, from 3.11 on. Only the used part is fetched: up to datastack_top in the newest chunk, up to `top` in
// those before it.
// Source: _PyStackChunk in Include/cpython/pystate.h, push_chunk in Python/pystate.c at v3.11.0.
#pragma once

#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Does nothing where the layout has no data stacks. What is wrong with a chunk is not told here: the frames
// that lie in it are then read one by one, or missed.
void fetch_data_stacks(Reading& reading, const RuntimeCopy& copy);

}  // namespace pythreads::pyframes
