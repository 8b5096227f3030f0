#include "pyframes/frame_variables.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "pyframes/frame_slots.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::uint8_t kind_cell = 0x40;  // CO_FAST_CELL
constexpr std::uint8_t kind_free = 0x80;  // CO_FAST_FREE

Result<std::vector<VariableName>> read_names(Reading& reading, const StructCopy& code, std::size_t count) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<VariableName> variables;
  const auto append_names = [&](PointerField field, bool cells) -> Result<void> {
    const std::optional<Address> tuple = code.pointer(field);
    if (!tuple || tuple->is_null()) return {};
    Result<Items> names = read_tuple(layout, reading.lasting, *tuple, count);
    if (!names) return std::move(names).error();
    for (const Address name : names->items) {
      Result<StrValue> text = read_str(layout, reading.lasting, name, max_name_length);
      if (!text) return std::move(text).error();
      variables.push_back({std::move(text->text), cells});
    }
    return {};
  };
  const bool kinds_exist = layout.code.co_localspluskinds.exists();
  for (const auto& [field, cells] :
       {std::pair{layout.code.co_localsplusnames, false}, std::pair{layout.code.co_varnames, false},
        std::pair{layout.code.co_cellvars, true}, std::pair{layout.code.co_freevars, true}}) {
    if (!field.exists() || (kinds_exist && field != layout.code.co_localsplusnames)) continue;
    Result<void> done = append_names(field, cells);
    if (!done) return std::move(done).error();
  }
  if (kinds_exist) {
    const std::optional<Address> kinds = code.pointer(layout.code.co_localspluskinds);
    if (kinds && !kinds->is_null()) {
      Result<BytesValue> bytes = read_bytes(layout, reading.lasting, *kinds, count);
      if (!bytes) return std::move(bytes).error();
      for (std::size_t i = 0; i < std::min(bytes->bytes.size(), variables.size()); ++i)
        variables[i].cell = (bytes->bytes[i] & (kind_cell | kind_free)) != 0;
    }
  }
  return variables;
}

FrameVariables fast_variables(Reading& reading, const FrameCopy& frame) {
  const RuntimeLayout& layout = reading.layout();
  FrameVariables found;
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size) {
    found.gap = size.error().message;
    return found;
  }
  const std::size_t count = std::min(size->variables, max_variables);
  const Result<std::vector<std::uint64_t>> words =
      read_slots(reading, frame_slots(layout, frame, *size), 0, count);
  if (!words) {
    found.gap = words.error().message;
    return found;
  }
  const auto names = variable_names(reading, frame.code);
  if (!names) {
    found.gap = "the names of its variables could not be read: " + names.error().message;
    return found;
  }
  for (std::size_t i = 0; i < std::min(count, (*names)->size()); ++i) {
    std::optional<Address> object = referred_object(layout, (*words)[i]);
    const VariableName& variable = (**names)[i];
    if (object && variable.cell) object = follow_cell(reading, *object);
    if (object) found.variables.push_back({variable.name, *object});
  }
  if (size->variables > count)
    found.gap = std::to_string(size->variables - count) + " more variables were not read";
  return found;
}

Result<std::optional<Address>> locals_dict(Reading& reading, const FrameCopy& frame) {
  const RuntimeLayout& layout = reading.layout();
  const PointerField field = layout.interpreter_frame.f_locals.exists() ? layout.interpreter_frame.f_locals
                                                                        : layout.frame_object.f_locals;
  const std::optional<Address> dict = frame.frame.pointer(field);
  if (!dict)
    return attach::Error{attach::ErrorCode::internal, "the layout does not tell where its variables are", ""};
  if (dict->is_null()) return std::optional<Address>();
  const Result<std::uint64_t> flags = object_flags(layout, reading.memory, *dict);
  if (!flags || (*flags & type_flag::dict_subclass) == 0)
    return attach::Error{attach::ErrorCode::corrupt, "its variables are in no dict", ""};
  return std::optional<Address>(*dict);
}

bool is_dunder(const std::string& name) {
  return name.size() > 4 && name.starts_with("__") && name.ends_with("__");
}

FrameVariables dict_variables(Reading& reading, const FrameCopy& frame) {
  const RuntimeLayout& layout = reading.layout();
  FrameVariables found;
  const Result<std::optional<Address>> dict = locals_dict(reading, frame);
  if (!dict) {
    found.gap = dict.error().message;
    return found;
  }
  if (!*dict) return found;
  const Result<DictItems> items = read_dict(layout, reading.memory, **dict, max_variables);
  if (!items) {
    found.gap = items.error().message;
    return found;
  }
  for (const DictEntry& entry : items->entries) {
    const Result<std::uint64_t> key_flags = object_flags(layout, reading.memory, entry.key);
    if (!key_flags || (*key_flags & type_flag::unicode_subclass) == 0) continue;
    const Result<StrValue> name = read_str(layout, reading.memory, entry.key, max_name_length);
    if (name && !is_dunder(name->text)) found.variables.push_back({name->text, entry.value});
  }
  if (items->cut) found.gap = "more than " + std::to_string(max_variables) + " variables";
  return found;
}

}  // namespace

Result<std::shared_ptr<const std::vector<VariableName>>> variable_names(Reading& reading, Address code) {
  const auto known = reading.variable_names.find(code);
  if (known != reading.variable_names.end()) return known->second;
  const Result<StructCopy> copy = StructCopy::read(reading.lasting, code, reading.layout().code.size);
  if (!copy) return copy.error();
  Result<std::vector<VariableName>> names = read_names(reading, *copy, max_variables);
  if (!names) return std::move(names).error();
  auto kept = std::make_shared<const std::vector<VariableName>>(std::move(*names));
  reading.variable_names.emplace(code, kept);
  return kept;
}

FrameVariables frame_variables(Reading& reading, const FrameCopy& frame) {
  const Result<FrameSize> size = frame_size(reading, frame.code);
  return !size || size->fast_locals ? fast_variables(reading, frame) : dict_variables(reading, frame);
}

std::optional<Address> find_variable(Reading& reading, const FrameCopy& frame, std::string_view name) {
  const RuntimeLayout& layout = reading.layout();
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size) return std::nullopt;
  if (!size->fast_locals) {
    const Result<std::optional<Address>> dict = locals_dict(reading, frame);
    if (!dict || !*dict) return std::nullopt;
    const Result<std::optional<Address>> value = find_in_dict(layout, reading.memory, **dict, name);
    return value ? *value : std::nullopt;
  }
  const auto names = variable_names(reading, frame.code);
  if (!names) return std::nullopt;
  for (std::size_t i = 0; i < std::min((*names)->size(), size->variables); ++i) {
    if ((**names)[i].name != name) continue;
    const Result<std::uint64_t> word = read_slot(reading, frame_slots(layout, frame, *size), i);
    if (!word) return std::nullopt;
    const std::optional<Address> object = referred_object(layout, *word);
    // To 3.10 an argument that a closure refers to stands twice: its own slot is empty, its cell is not.
    if (object) return (**names)[i].cell ? follow_cell(reading, *object) : object;
  }
  return std::nullopt;
}

std::optional<Address> follow_cell(Reading& reading, Address object) {
  const RuntimeLayout& layout = reading.layout();
  const Result<Address> type = type_of(layout, reading.memory, object);
  if (!type || !layout.cell.ob_ref.exists()) return object;
  const Result<std::string> name = type_name(layout, reading.memory, *type);
  if (!name || *name != "cell") return object;
  const Result<Address> held =
      reading.memory.read_address(object + static_cast<std::uint64_t>(layout.cell.ob_ref.offset));
  if (!held) return object;
  if (held->is_null()) return std::nullopt;
  return *held;
}

void fetch_frame_variables(Reading& reading, const std::vector<const FrameCopy*>& frames) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<attach::Range> wave;
  for (const FrameCopy* frame : frames) {
    if (!reading.frame_sizes.contains(frame->code))
      wave.push_back({frame->code, static_cast<std::uint64_t>(std::max(layout.code.size, 0))});
  }
  reading.memory.prefetch(wave);
  wave.clear();
  for (const FrameCopy* frame : frames) {
    const Result<FrameSize> size = frame_size(reading, frame->code);
    if (size) wave.push_back(frame_slots(layout, *frame, *size));
  }
  reading.memory.prefetch(wave);
}

}  // namespace pythreads::pyframes
