// What an expression would give now: the evaluation of bytecode.h, without running code.
#include <algorithm>

#include "pyframes/bytecode.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {

namespace {

using attach::Address;
using attach::Result;

std::optional<Address> slot(Reading& reading, const FrameCopy& frame, std::size_t index) {
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size || index >= size->variables) return std::nullopt;
  const Result<std::vector<std::uint64_t>> word =
      read_slots(reading, frame_slots(reading.layout(), frame, *size), index, 1);
  if (!word) return std::nullopt;
  const std::optional<Address> object = referred_object(reading.layout(), word->front());
  return object ? follow_cell(reading, *object) : std::nullopt;
}

// To 3.10 the argument counts cells from 0, which lie behind the local variables.
std::size_t cell_slot(Reading& reading, const FrameCopy& frame, std::uint32_t index) {
  const RuntimeLayout& layout = reading.layout();
  if (layout.frame_style != FrameStyle::frame_objects) return index;
  const Result<std::int32_t> locals = reading.lasting.read_value<std::int32_t>(
      frame.code + static_cast<std::uint64_t>(std::max(layout.code.co_nlocals.offset, 0)));
  return (locals && *locals > 0 ? static_cast<std::size_t>(*locals) : 0) + index;
}

std::optional<Address> class_attribute(Reading& reading, Address type, const std::string& name) {
  const RuntimeLayout& layout = reading.layout();
  for (int depth = 0; depth < 32 && !type.is_null(); ++depth) {
    const Result<Address> dict =
        reading.memory.read_address(type + static_cast<std::uint64_t>(layout.type.tp_dict.offset));
    if (dict && !dict->is_null()) {
      const Result<std::optional<Address>> found = find_in_dict(layout, reading.memory, *dict, name);
      if (found && *found) return *found;
    }
    const Result<Address> base =
        reading.lasting.read_address(type + static_cast<std::uint64_t>(layout.type.tp_base.offset));
    if (!base) return std::nullopt;
    type = *base;
  }
  return std::nullopt;
}

std::optional<Address> attribute(Reading& reading, Address object, const std::string& name) {
  const RuntimeLayout& layout = reading.layout();
  const Result<Address> type = type_of(layout, reading.memory, object);
  if (!type || type->is_null()) return std::nullopt;
  const Result<std::uint64_t> flags = type_flags(layout, reading.lasting, *type);
  if (!flags) return std::nullopt;
  if ((*flags & type_flag::type_subclass) != 0) return class_attribute(reading, object, name);
  const Result<std::string> kind = type_name(layout, reading.lasting, *type);
  if (kind && *kind == "module") {
    const Result<std::optional<Address>> found = find_in_module(layout, reading.memory, object, name);
    return found ? *found : std::nullopt;
  }
  const Result<std::optional<Address>> own = find_attribute(layout, reading.memory, object, name);
  if (own && *own) return *own;
  return (*flags & type_flag::heap_type) != 0 ? class_attribute(reading, *type, name) : std::nullopt;
}

}  // namespace

std::optional<Address> evaluate(Reading& reading, const FrameCopy& frame, const Expression& expression) {
  std::optional<Address> object;
  switch (expression.root) {
    case Expression::Root::none:
      return std::nullopt;
    case Expression::Root::variable:
      object = slot(reading, frame, expression.index);
      break;
    case Expression::Root::cell:
      object = slot(reading, frame, cell_slot(reading, frame, expression.index));
      break;
    case Expression::Root::name:
    case Expression::Root::global: {
      const std::string name = name_of_code(reading, frame.code, expression.index);
      if (name.empty()) return std::nullopt;
      if (expression.root == Expression::Root::name) object = find_variable(reading, frame, name);
      if (object) break;
      const Address globals = globals_of(reading.layout(), frame);
      if (globals.is_null()) return std::nullopt;
      const Result<std::optional<Address>> found =
          find_in_dict(reading.layout(), reading.memory, globals, name);
      object = found ? *found : std::nullopt;
      break;
    }
  }
  for (const std::uint32_t index : expression.attributes) {
    if (!object) return std::nullopt;
    const std::string name = name_of_code(reading, frame.code, index);
    if (name.empty()) return std::nullopt;
    object = attribute(reading, *object, name);
  }
  return object;
}

}  // namespace pythreads::pyframes
