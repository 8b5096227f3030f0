// What the code of a frame says of locks that were taken by hand: `acquire()` without a `with`.
//
// try … finally (or except) that releases it: the frame is inside, and what the handler gives back the frame
// has (inferred), unless a branch stands before the release, or no acquire before that can't have failed. An
// `acquire()` before the current place and no `release()` after it: likely, for code may have run in another
// order than it stands. A call in progress does not count: who waits in `acquire()` has not got it.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "pyframes/lock_managers.h"
#include "pyframes/reading.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {

struct ExplicitHold {
  ManagedLock lock;
  std::int64_t taken = -1;  // offset in bytes of the acquire, or of the try; -1: not known
};

// Of the objects in `wanted`.
std::vector<ExplicitHold> explicit_holds(Reading& reading, const FrameCopy& frame,
                                         const std::set<attach::Address>& wanted);

// What the frame has released by hand, and not acquired again.
std::vector<attach::Address> released_before(Reading& reading, const FrameCopy& frame);

// Whether the frame is in an `acquire()` of the object. Who does that in the function that took it waits for
// a signal: that another thread releases it.
bool acquires_again(Reading& reading, const FrameCopy& frame, attach::Address object);
inline constexpr const char* again_as_signal =
    "; it acquires it again right there, as who waits for a signal does";

// Whether the frame released the object by hand since the block began, and did not acquire it again.
bool is_released_inside(Reading& reading, const FrameCopy& frame, attach::Address object,
                        const OpenWith& block);

}  // namespace pythreads::pyframes
