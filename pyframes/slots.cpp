#include "pyframes/slots.h"

#include <algorithm>
#include <string>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

// Behind its head: d_type, d_name, d_qualname, d_member; in PyMemberDef: name, type, offset.
constexpr std::uint64_t member_of_descriptor = 24, type_of_member = 8, offset_of_member = 16;
constexpr std::int32_t type_object = 6, type_object_ex = 16;
constexpr std::int64_t farthest = 4096;
constexpr int max_bases = 16;
constexpr std::size_t max_in_class = 256;  // names of one class

std::optional<std::uint64_t> offset_of(Reading& reading, Address descriptor) {
  const auto head = static_cast<std::uint64_t>(std::max(reading.layout().object.size, 0));
  const Result<Address> member = reading.memory.read_address(descriptor + head + member_of_descriptor);
  if (!member || member->is_null()) return std::nullopt;
  const Result<std::int32_t> type = reading.memory.read_value<std::int32_t>(*member + type_of_member);
  const Result<std::int64_t> offset = reading.memory.read_value<std::int64_t>(*member + offset_of_member);
  if (!type || !offset || *offset <= 0 || *offset > farthest) return std::nullopt;
  if (*type != type_object && *type != type_object_ex) return std::nullopt;
  return static_cast<std::uint64_t>(*offset);
}

bool is_descriptor(Reading& reading, Address object) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  if (!type || type->is_null()) return false;
  const Result<std::string> name = type_name(reading.layout(), reading.lasting, *type);
  return name && *name == "member_descriptor";
}

bool is_slots_key(Reading& reading, Address key) {
  const Result<std::uint64_t> flags = object_flags(reading.layout(), reading.lasting, key);
  if (!flags || (*flags & type_flag::unicode_subclass) == 0) return false;
  const Result<bool> equal = str_equals(reading.layout(), reading.lasting, key, "__slots__");
  return equal && *equal;
}

}  // namespace

std::vector<Slot> slots_of(Reading& reading, Address type, std::size_t limit) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<Slot> slots;
  for (int depth = 0; depth < max_bases && !type.is_null(); ++depth) {
    const Result<std::uint64_t> flags = type_flags(layout, reading.lasting, type);
    if (!flags || (*flags & type_flag::heap_type) == 0) break;
    const Result<Address> dict =
        reading.memory.read_address(type + static_cast<std::uint64_t>(layout.type.tp_dict.offset));
    const Result<DictItems> items =
        dict && !dict->is_null() ? read_dict(layout, reading.memory, *dict, max_in_class) : DictItems{};
    // Only a class with `__slots__` of its own has descriptors that are worth looking at each of its values.
    const bool has_slots =
        items && std::any_of(items->entries.begin(), items->entries.end(),
                             [&](const DictEntry& each) { return is_slots_key(reading, each.key); });
    if (has_slots) {
      for (const DictEntry& entry : items->entries) {
        if (slots.size() >= limit) return slots;
        if (!is_descriptor(reading, entry.value)) continue;
        if (const std::optional<std::uint64_t> offset = offset_of(reading, entry.value))
          slots.push_back({entry.key, *offset});
      }
    }
    const Result<Address> base =
        reading.lasting.read_address(type + static_cast<std::uint64_t>(layout.type.tp_base.offset));
    if (!base) break;
    type = *base;
  }
  return slots;
}

std::optional<Address> slot_of(Reading& reading, Address object, Address descriptor) {
  const std::optional<std::uint64_t> offset = offset_of(reading, descriptor);
  if (!offset) return std::nullopt;
  const Result<Address> value = reading.memory.read_address(object + *offset);
  return value && !value->is_null() ? std::optional(*value) : std::nullopt;
}

}  // namespace pythreads::pyframes
