// The words behind a frame's fixed part: its variables, then its value stack (`localsplus`).
//
// How many there are is said by the code object. How much of the value stack is in use is not known for every
// version, so all of its slots are given; stale ones among them are the reader's to recognize. From 3.14 on a
// word is a _PyStackRef: its low bits are tags, 3 marks a small int that is no reference.
// Sources: Include/internal/pycore_frame.h, Include/internal/pycore_stackref.h at v3.14.0,
// Include/cpython/frameobject.h at v3.8.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "attach/address.h"
#include "attach/result.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// ErrorCode::corrupt for sizes that no code object has.
attach::Result<FrameSize> frame_size(Reading& reading, attach::Address code);

// Where the words begin, and how many bytes they take.
attach::Range frame_slots(const RuntimeLayout& layout, const FrameCopy& frame, const FrameSize& size);

attach::Result<std::uint64_t> read_slot(Reading& reading, attach::Range slots, std::size_t index);

// The words [first, first + count) of `slots`.
attach::Result<std::vector<std::uint64_t>> read_slots(Reading& reading, attach::Range slots,
                                                      std::size_t first, std::size_t count);

// The object that a slot refers to; none for an empty one or one that is no reference.
std::optional<attach::Address> referred_object(const RuntimeLayout& layout, std::uint64_t word);

}  // namespace pythreads::pyframes
