// What is told of the code objects that frames run, touched while the target is held.
//
// A code object doesn't change while it exists, but it goes: a frame that is left right after the stop may
// have held the last reference. The next function's code, name and line table then lie where those were, and
// what is read after the release would be the line of one function under the name of another. The target's
// memory as it was at the stop is of one moment.
#pragma once

namespace pythreads::pyframes {

struct Reading;
struct RuntimeCopy;

// Of all frames in `copy`, and of those that the rehearsal met: a frame may be as it was, byte by byte, and
// its code another one.
void fetch_codes(Reading& reading, const RuntimeCopy& copy);

}  // namespace pythreads::pyframes
