#include "pyframes/locals.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pyframes/frame_slots.h"
#include "pyframes/objects.h"
#include "pyframes/redaction.h"
#include "pyframes/values.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_locals = 200;        // of one frame
constexpr std::size_t max_frames_with = 1000;  // of one thread
constexpr std::uint64_t object_bytes = 64;     // what a first look at an object touches
constexpr std::int32_t code_is_optimized = 1;  // CO_OPTIMIZED: its locals are fast ones
constexpr std::uint8_t kind_cell = 0x40;       // CO_FAST_CELL
constexpr std::uint8_t kind_free = 0x80;       // CO_FAST_FREE

struct Variable {
  std::string name;
  bool cell = false;
};

// The variables of a code object in the order of their slots.
Result<std::vector<Variable>> read_variables(Reading& reading, const StructCopy& code, std::size_t count) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<Variable> variables;
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

PyValue value_of(Reading& reading, const std::string& name, Address object) {
  if (reading.options.redact && is_secret_name(name)) return redacted_value();
  return read_value(reading, object);
}

// What a cell holds; the object itself if it is none (a variable whose cell has not been made yet). None for
// an empty cell.
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

void read_fast_locals(Reading& reading, const StructCopy& code, const FrameCopy& frame, PyFrame& into) {
  const RuntimeLayout& layout = reading.layout();
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size) {
    into.locals_gap = size.error().message;
    return;
  }
  const std::size_t count = std::min(size->variables, max_locals);
  const Result<std::vector<std::uint64_t>> words =
      read_slots(reading, frame_slots(layout, frame, *size), 0, count);
  if (!words) {
    into.locals_gap = words.error().message;
    return;
  }
  const Result<std::vector<Variable>> variables = read_variables(reading, code, count);
  if (!variables) {
    into.locals_gap = "the names of its variables could not be read: " + variables.error().message;
    return;
  }
  for (std::size_t i = 0; i < std::min(count, variables->size()); ++i) {
    std::optional<Address> object = referred_object(layout, (*words)[i]);
    const Variable& variable = (*variables)[i];
    if (object && variable.cell) object = follow_cell(reading, *object);
    if (object) into.locals.push_back({variable.name, value_of(reading, variable.name, *object)});
  }
  if (size->variables > count)
    into.locals_gap = std::to_string(size->variables - count) + " more variables were not read";
}

bool is_dunder(const std::string& name) {
  return name.size() > 4 && name.starts_with("__") && name.ends_with("__");
}

void read_dict_locals(Reading& reading, const FrameCopy& frame, PyFrame& into) {
  const RuntimeLayout& layout = reading.layout();
  const PointerField field = layout.interpreter_frame.f_locals.exists() ? layout.interpreter_frame.f_locals
                                                                        : layout.frame_object.f_locals;
  const std::optional<Address> dict = frame.frame.pointer(field);
  if (!dict) {
    into.locals_gap = "the layout does not tell where its variables are";
    return;
  }
  if (dict->is_null()) return;
  const Result<std::uint64_t> flags = object_flags(layout, reading.memory, *dict);
  if (!flags || (*flags & type_flag::dict_subclass) == 0) {
    into.locals_gap = "its variables are in no dict";
    return;
  }
  const Result<DictItems> items = read_dict(layout, reading.memory, *dict, max_locals);
  if (!items) {
    into.locals_gap = items.error().message;
    return;
  }
  for (const DictEntry& entry : items->entries) {
    const Result<std::uint64_t> key_flags = object_flags(layout, reading.memory, entry.key);
    if (!key_flags || (*key_flags & type_flag::unicode_subclass) == 0) continue;
    const Result<StrValue> name = read_str(layout, reading.memory, entry.key, max_name_length);
    if (!name || is_dunder(name->text)) continue;
    into.locals.push_back({name->text, value_of(reading, name->text, entry.value)});
  }
  if (items->cut) into.locals_gap = "more than " + std::to_string(max_locals) + " variables";
}

void read_locals_of(Reading& reading, const FrameCopy& frame, PyFrame& into) {
  const RuntimeLayout& layout = reading.layout();
  const Result<StructCopy> code = StructCopy::read(reading.lasting, frame.code, layout.code.size);
  if (!code) {
    into.locals_gap = "its code object could not be read: " + code.error().message;
    return;
  }
  const std::int32_t flags = code->get(layout.code.co_flags).value_or(code_is_optimized);
  if ((flags & code_is_optimized) != 0) {
    read_fast_locals(reading, *code, frame, into);
  } else {
    read_dict_locals(reading, frame, into);
  }
}

template <typename Visit>
void for_each_frame(const RuntimeCopy& copy, Visit visit) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames_with); ++i)
        visit(thread.frames[i]);
    }
  }
}

}  // namespace

void fetch_locals(Reading& reading, const RuntimeCopy& copy) {
  if (!reading.options.locals) return;
  const RuntimeLayout& layout = reading.layout();
  std::vector<attach::Range> wave;
  for_each_frame(copy, [&](const FrameCopy& frame) {
    wave.push_back({frame.code, static_cast<std::uint64_t>(std::max(layout.code.size, 0))});
  });
  reading.memory.prefetch(wave);

  wave.clear();
  for_each_frame(copy, [&](const FrameCopy& frame) {
    const Result<FrameSize> size = frame_size(reading, frame.code);
    if (size) wave.push_back(frame_slots(layout, frame, *size));
  });
  reading.memory.prefetch(wave);
  const std::vector<attach::Range> slots = std::move(wave);

  wave = {};
  for (const attach::Range& range : slots) {
    const Result<std::vector<std::uint64_t>> words =
        read_slots(reading, range, 0, static_cast<std::size_t>(range.size / sizeof(std::uint64_t)));
    if (!words) continue;
    for (const std::uint64_t word : *words) {
      const std::optional<Address> object = referred_object(layout, word);
      if (object) wave.push_back({*object, object_bytes});
    }
  }
  reading.memory.prefetch(wave);

  for_each_frame(copy, [&](const FrameCopy& frame) {
    PyFrame dropped;
    read_locals_of(reading, frame, dropped);
  });
}

void read_locals(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!reading.options.locals) return;
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), state.interpreters[i].threads.size()); ++j) {
      std::vector<PyFrame>& frames = state.interpreters[i].threads[j].frames;
      for (std::size_t k = 0; k < std::min(threads[j].frames.size(), frames.size()); ++k) {
        if (k < max_frames_with) {
          read_locals_of(reading, threads[j].frames[k], frames[k]);
        } else {
          frames[k].locals_gap = "not read so deep in the stack";
        }
      }
    }
  }
}

}  // namespace pythreads::pyframes
