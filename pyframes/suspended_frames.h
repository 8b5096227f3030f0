// The frames of generators and coroutines that are suspended: their `with` blocks stay open meanwhile, and
// whoever refers to them holds what they hold.
//
// To 3.10 a generator points to its frame object, from 3.11 on the frame lies inside of it. Only a suspended
// one is given: one that runs stands on its thread's own stack, one that has ended or not begun holds
// nothing. Sources: Include/cpython/genobject.h, Include/internal/pycore_frame.h (enum _framestate) at v3.8.0
// to v3.15.0.
#pragma once

#include <optional>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Whether the object is a generator, a coroutine or an asynchronous generator.
bool is_generator(Reading& reading, attach::Address object);

// None: it is no generator, it is not suspended, or it could not be read.
std::optional<FrameCopy> suspended_frame(Reading& reading, attach::Address generator);

}  // namespace pythreads::pyframes
