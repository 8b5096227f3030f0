#include "pyframes/triggers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_frames = 64;      // of one thread, from the innermost
constexpr std::size_t max_arguments = 4;    // self, number, frame; frame, event, arg
constexpr std::size_t max_items = 4;        // of *args
constexpr std::int32_t takes_varargs = 4;   // CO_VARARGS
constexpr std::uint64_t object_bytes = 64;  // as much as is asked of an argument

// The values of a frame's first variables, which its arguments are.
std::vector<std::optional<Address>> first_arguments(Reading& reading, const FrameCopy& frame) {
  std::vector<std::optional<Address>> values;
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size) return values;
  const Result<std::vector<std::uint64_t>> words = read_slots(
      reading, frame_slots(reading.layout(), frame, *size), 0, std::min(size->variables, max_arguments));
  if (!words) return values;
  for (const std::uint64_t word : *words) {
    const std::optional<Address> object = referred_object(reading.layout(), word);
    values.push_back(object);
  }
  return values;
}

// Whether the object is the frame object of `frame`.
bool is_frame_object(Reading& reading, Address object, const FrameCopy& frame) {
  const RuntimeLayout& layout = reading.layout();
  if (layout.frame_style == FrameStyle::frame_objects) return object == frame.address;
  const Result<Address> type = type_of(layout, reading.memory, object);
  if (!type) return false;
  const Result<std::string> name = type_name(layout, reading.lasting, *type);
  if (!name || *name != "frame" || !layout.frame_object.f_frame.exists()) return false;
  const Result<Address> inner =
      reading.memory.read_address(object + static_cast<std::uint64_t>(layout.frame_object.f_frame.offset));
  return inner && *inner == frame.address;
}

bool has_flag(Reading& reading, std::optional<Address> object, std::uint64_t flag) {
  if (!object) return false;
  const Result<std::uint64_t> flags = object_flags(reading.layout(), reading.memory, *object);
  return flags && (*flags & flag) != 0;
}

bool has_varargs(Reading& reading, const FrameCopy& frame) {
  const Result<std::shared_ptr<const Code>> code = read_code_head(reading, frame.code);
  return code && ((*code)->flags & takes_varargs) != 0;
}

// What the frame was given as *args, if one of its arguments is that: a short tuple.
std::vector<std::optional<Address>> items_of(Reading& reading, std::optional<Address> argument) {
  if (!has_flag(reading, argument, type_flag::tuple_subclass)) return {};
  const Result<Items> items = read_tuple(reading.layout(), reading.memory, *argument, max_items);
  if (!items || items->cut) return {};
  return {items->items.begin(), items->items.end()};
}

// Who else is given the frame that it interrupted?
PyTrigger trigger_of(Reading& reading, const std::vector<std::optional<Address>>& arguments,
                     const FrameCopy& outer) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i] || !is_frame_object(reading, *arguments[i], outer)) continue;
    if (i > 0 && has_flag(reading, arguments[i - 1], type_flag::long_subclass))
      return PyTrigger::signal_handler;
    if (i + 1 < arguments.size() && has_flag(reading, arguments[i + 1], type_flag::unicode_subclass))
      return PyTrigger::trace;
  }
  return PyTrigger::none;
}

PyTrigger trigger_by_arguments(Reading& reading, const FrameCopy& frame, const FrameCopy& outer) {
  const std::vector<std::optional<Address>> arguments = first_arguments(reading, frame);
  const PyTrigger trigger = trigger_of(reading, arguments, outer);
  if (trigger != PyTrigger::none || !has_varargs(reading, frame)) return trigger;
  for (const std::optional<Address>& argument : arguments) {
    const PyTrigger given = trigger_of(reading, items_of(reading, argument), outer);
    if (given != PyTrigger::none) return given;
  }
  return PyTrigger::none;
}

// A weakref.ref, and no object of a class made from it, which may have methods of its own.
bool is_dead_reference(Reading& reading, Address object) {
  const RuntimeLayout& layout = reading.layout();
  const PointerField referent = layout.weak_reference.wr_object;
  if (!referent.exists()) return false;
  const auto type_is = [&](attach::Memory& memory, Address of,
                           std::initializer_list<std::string_view> names) {
    const Result<Address> type = type_of(layout, memory, of);
    if (!type) return false;
    const Result<std::string> name = type_name(layout, reading.lasting, *type);
    return name && std::find(names.begin(), names.end(), *name) != names.end();
  };
  if (!type_is(reading.memory, object, {"weakref", "weakref.ReferenceType", "weakref.ref"})) return false;
  const Address at = object + static_cast<std::uint64_t>(referent.offset);
  const Result<Address> to = reading.memory.read_address(at);
  const Result<Address> callback = reading.memory.read_address(at + 8);  // wr_callback follows wr_object
  return to && callback && callback->is_null() && !to->is_null() &&
         type_is(reading.lasting, *to, {"NoneType"});
}

// Whether the frame is at an instruction that gives up a reference.
bool drops_one(Reading& reading, const FrameCopy& frame) {
  const Result<std::shared_ptr<const Code>> code = read_code_head(reading, frame.code);
  const std::optional<std::int64_t> current =
      code ? instruction_of(reading, frame, **code) : std::optional<std::int64_t>();
  const std::shared_ptr<const Bytecode> bytecode = current ? read_bytecode(reading, frame.code) : nullptr;
  if (!bytecode) return false;
  return std::any_of(bytecode->instructions.begin(), bytecode->instructions.end(),
                     [&](const Instruction& each) { return each.at == *current && each.op == Op::drop; });
}

bool is_weakref_callback(Reading& reading, const FrameCopy& frame, const FrameCopy& outer) {
  const std::vector<std::optional<Address>> arguments = first_arguments(reading, frame);
  // A bound method's first argument is its self.
  for (std::size_t i = 0; i < std::min<std::size_t>(arguments.size(), 2); ++i) {
    if (arguments[i] && is_dead_reference(reading, *arguments[i])) return drops_one(reading, outer);
  }
  return false;
}

// To 3.10 each frame is entered from C, a called one too: what the caller's code says then settles it.
bool names_it(Reading& reading, const FrameCopy& outer, std::string_view name) {
  const RuntimeLayout& layout = reading.layout();
  if (layout.frame_style != FrameStyle::frame_objects) return false;
  if (!layout.code.co_names.exists()) return true;
  const Result<Address> names =
      reading.lasting.read_address(outer.code + static_cast<std::uint64_t>(layout.code.co_names.offset));
  if (!names) return true;
  constexpr std::size_t most_names = 4096;
  const Result<Items> items = read_tuple(layout, reading.lasting, *names, most_names);
  if (!items) return true;
  return std::any_of(items->items.begin(), items->items.end(), [&](Address item) {
    const Result<bool> same = str_equals(layout, reading.lasting, item, name);
    return same && *same;
  });
}

bool is_finalizer(Reading& reading, const PyFrame& frame, const FrameCopy* outer) {
  if (frame.module_name == "weakref" && frame.qualified_name.ends_with("finalize.__call__")) return true;
  if (frame.module_name == "weakref" && frame.qualified_name == frame.function &&
      frame.function == "__call__") {
    return true;  // to 3.10 there is no qualified name
  }
  return frame.function == "__del__" && (outer == nullptr || !names_it(reading, *outer, "__del__"));
}

bool is_import(const PyFrame& frame) {
  return frame.function == "_find_and_load" &&
         (frame.module_name == "importlib._bootstrap" || frame.module_name == "_frozen_importlib");
}

template <typename Visit>
void for_each_interruption(const RuntimeCopy& copy, Visit visit) {
  for (std::size_t i = 0; i < copy.interpreters.size(); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < threads.size(); ++j) {
      const std::vector<FrameCopy>& frames = threads[j].frames;
      for (std::size_t k = 0; k < std::min(frames.size(), max_frames); ++k) {
        if (frames[k].entry) visit(i, j, k, frames[k], k + 1 < frames.size() ? &frames[k + 1] : nullptr);
      }
    }
  }
}

}  // namespace

void fetch_triggers(Reading& reading, const RuntimeCopy& copy) {
  std::vector<const FrameCopy*> frames, outers;
  for_each_interruption(
      copy, [&](std::size_t, std::size_t, std::size_t, const FrameCopy& frame, const FrameCopy* outer) {
        if (outer == nullptr) return;
        frames.push_back(&frame);
        outers.push_back(outer);
      });
  fetch_frame_variables(reading, frames);
  const bool objects = reading.layout().frame_style == FrameStyle::frame_objects;
  std::vector<attach::Range> wave, items;
  std::vector<std::pair<std::size_t, Address>> tuples;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::vector<std::optional<Address>> arguments = first_arguments(reading, *frames[i]);
    // To 3.10 every frame is entered from C, and the one in a thousand is known without touching an object.
    const bool varargs = has_varargs(reading, *frames[i]);
    const bool given = std::find(arguments.begin(), arguments.end(), outers[i]->address) != arguments.end();
    if (objects && !given && !varargs) continue;
    for (const std::optional<Address>& argument : arguments) {
      if (!argument) continue;
      wave.push_back({*argument, object_bytes});
      if (varargs) tuples.emplace_back(i, *argument);
    }
  }
  reading.memory.prefetch(wave);
  for (const auto& [frame, argument] : tuples) {
    const std::vector<std::optional<Address>> given = items_of(reading, argument);
    if (objects && std::find(given.begin(), given.end(), outers[frame]->address) == given.end()) continue;
    for (const std::optional<Address>& item : given) {
      if (item) items.push_back({*item, object_bytes});
    }
  }
  reading.memory.prefetch(items);
}

void read_triggers(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  for_each_interruption(copy, [&](std::size_t interpreter, std::size_t thread, std::size_t index,
                                  const FrameCopy& copied, const FrameCopy* outer) {
    if (interpreter >= state.interpreters.size()) return;
    PyInterpreter& within = state.interpreters[interpreter];
    if (thread >= within.threads.size() || index >= within.threads[thread].frames.size()) return;
    PyFrame& frame = within.threads[thread].frames[index];
    if (outer != nullptr) frame.trigger = trigger_by_arguments(reading, copied, *outer);
    if (frame.trigger != PyTrigger::none) return;
    const bool callback = outer != nullptr && is_weakref_callback(reading, copied, *outer);
    if (callback || is_finalizer(reading, frame, outer)) {
      frame.trigger = within.gc_collecting.value_or(false) ? PyTrigger::gc : PyTrigger::finalizer;
    } else if (is_import(frame)) {
      frame.trigger = PyTrigger::import;
    }
  });
}

}  // namespace pythreads::pyframes
