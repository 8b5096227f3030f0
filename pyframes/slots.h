// Attributes that a class keeps in `__slots__`: in the object itself, at an offset that a member descriptor
// of the class knows. Source: Include/descrobject.h (PyMemberDescrObject), Include/structmember.h
// (PyMemberDef) at v3.8.0 to v3.15.0.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct Slot {
  attach::Address name;  // a str
  std::uint64_t offset = 0;
};

// The slots of objects, of `type` itself and of its bases, at most the first `limit`.
std::vector<Slot> slots_of(Reading& reading, attach::Address type, std::size_t limit);

// What the object has in the slot of a member descriptor; none: nothing, or it is no descriptor of an object.
std::optional<attach::Address> slot_of(Reading& reading, attach::Address object, attach::Address descriptor);

}  // namespace pythreads::pyframes
