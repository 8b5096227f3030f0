#include "pyframes/frames.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pyframes/data_stacks.h"
#include "pyframes/hex.h"
#include "pyframes/library_modules.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

// _PyInterpreterFrame.owner: its code decides for itself when it is complete.
constexpr std::uint8_t owned_by_generator = 1;

// Where a thread's chain has been followed to. A circle is found by Brent's way: the frame at each power of
// two is met again.
struct Cursor {
  ThreadCopy* thread = nullptr;
  Address next;
  Address mark{};
  std::size_t steps = 0;
  std::size_t mark_at = 1;

  bool meets_mark(Address at) {
    if (at == mark) return true;
    if (++steps == mark_at) {
      mark = at;
      mark_at *= 2;
    }
    return false;
  }
};

// By the time that a circle is noticed it was gone round more than once.
void cut_repeated(std::vector<FrameCopy>& frames) {
  std::unordered_set<Address> seen;
  const auto again = std::find_if(frames.begin(), frames.end(),
                                  [&](const FrameCopy& frame) { return !seen.insert(frame.address).second; });
  frames.erase(again, frames.end());
}

// The frame's fixed part: everything before the locals.
std::int32_t frame_size(const RuntimeLayout& layout) {
  if (layout.frame_style == FrameStyle::frame_objects) {
    return layout.frame_object.f_localsplus.exists() ? layout.frame_object.f_localsplus.offset
                                                     : layout.frame_object.size;
  }
  return layout.interpreter_frame.localsplus.exists() ? layout.interpreter_frame.localsplus.offset
                                                      : layout.interpreter_frame.size;
}

// The innermost frame of each thread that has one.
std::vector<Cursor> begin_chains(Reading& reading, RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  PointerField first = layout.thread_state.current_frame;
  if (layout.frame_style == FrameStyle::frame_objects) first = layout.thread_state.frame;
  if (layout.frame_style == FrameStyle::cframe) first = layout.thread_state.cframe;

  std::vector<Cursor> cursors;
  for (InterpreterCopy& interpreter : copy.interpreters) {
    for (ThreadCopy& thread : interpreter.threads) {
      std::optional<Address> frame = thread.tstate.pointer(first);
      if (!frame) {
        thread.frames_gap = "the layout doesn't tell where the frames are";
      } else if (!frame->is_null()) {
        cursors.push_back({&thread, *frame});
      }
    }
  }
  if (layout.frame_style != FrameStyle::cframe) return cursors;

  // tstate.cframe lies on the C stack and leads to the frame.
  std::vector<Range> ranges;
  std::uint64_t offset = static_cast<std::uint64_t>(layout.cframe.current_frame.offset);
  for (const Cursor& cursor : cursors) ranges.push_back({cursor.next + offset, 8});
  reading.memory.prefetch(ranges);
  for (Cursor& cursor : cursors) {
    Result<Address> frame = reading.memory.read_address(cursor.next + offset);
    if (!frame) cursor.thread->frames_gap = "the innermost frame could not be read: " + frame.error().message;
    cursor.next = frame.value_or(Address());
  }
  std::erase_if(cursors, [](const Cursor& cursor) { return cursor.next.is_null(); });
  return cursors;
}

// Reads the frame that the cursor points to and moves it on; to null at the end of the chain.
void follow(Reading& reading, std::int32_t size, Cursor& cursor) {
  const RuntimeLayout& layout = reading.layout();
  ThreadCopy& thread = *cursor.thread;
  Address at = std::exchange(cursor.next, Address());
  if (cursor.meets_mark(at)) {
    thread.frames_gap = "the chain of frames runs in a circle";
    cut_repeated(thread.frames);
    return;
  }
  if (cursor.steps > reading.options.max_frames) {
    thread.frames_gap = "more frames than are read";
    return;
  }
  Result<StructCopy> copy = StructCopy::read(reading.memory, at, size);
  if (!copy) {
    thread.frames_gap = "a frame could not be read: " + copy.error().message;
    return;
  }

  FrameCopy frame;
  frame.address = at;
  bool shim = false;
  if (layout.frame_style == FrameStyle::frame_objects) {
    cursor.next = copy->pointer(layout.frame_object.f_back).value_or(Address());
    frame.code = copy->pointer(layout.frame_object.f_code).value_or(Address());
    frame.entry = true;
  } else {
    const auto& of = layout.interpreter_frame;
    cursor.next = copy->pointer(of.previous).value_or(Address());
    frame.code = copy->pointer(of.f_executable).value_or(Address());
    if (layout.tagged_stackrefs) frame.code = Address(frame.code.value & ~std::uint64_t{3});
    frame.entry = copy->get(of.is_entry).value_or(0) != 0;
    shim = layout.first_shim_owner > 0 && copy->get(of.owner).value_or(0) >= layout.first_shim_owner;
  }
  if (shim && thread.entry_frame.is_null()) thread.entry_frame = at;
  if (!shim) {
    frame.frame = *std::move(copy);
    thread.frames.push_back(std::move(frame));
  }
  // The frame above a shim, or above nothing, is the one that its evaluation loop began with.
  bool run_ends = shim || cursor.next.is_null();
  if (layout.entry_style == EntryStyle::shim_frame && run_ends && !thread.frames.empty()) {
    FrameCopy& began = thread.frames.back();
    began.entry = true;
    // 3.15's chain ends with one more, PyThreadState.base_frame, which no loop left.
    if (shim && began.loop_place.is_null()) began.loop_place = at;
  }
}

// ---- after the release

// Where the instructions that the frame runs begin. Threads of a free-threaded build run copies of their own
// (3.14: _PyCodeArray {size, entries[]}, the first being the code object's).
std::optional<Address> first_instruction(Reading& reading, const FrameCopy& frame, const Code& code) {
  std::int32_t index = frame.frame.get(reading.layout().interpreter_frame.tlbc_index).value_or(0);
  if (index <= 0 || code.thread_local_instructions.is_null()) return code.instructions;
  Result<std::int64_t> size = reading.lasting.read_value<std::int64_t>(code.thread_local_instructions);
  if (!size || index >= *size) return std::nullopt;
  Result<Address> entry = reading.lasting.read_address(code.thread_local_instructions + 8 +
                                                       static_cast<std::uint64_t>(index) * 8);
  if (!entry || entry->is_null()) return std::nullopt;
  return *entry;
}

}  // namespace

Address globals_of(const RuntimeLayout& layout, const FrameCopy& frame) {
  const bool objects = layout.frame_style == FrameStyle::frame_objects;
  return frame.frame.pointer(objects ? layout.frame_object.f_globals : layout.interpreter_frame.f_globals)
      .value_or(Address());
}

const attach::SharedText& module_of(Reading& reading, const FrameCopy& frame) {
  return module_of(reading, globals_of(reading.layout(), frame));
}

const attach::SharedText& module_of(Reading& reading, Address globals) {
  const RuntimeLayout& layout = reading.layout();
  if (auto known = reading.module_names.find(globals); known != reading.module_names.end())
    return known->second;
  attach::SharedText& name = reading.module_names[globals];
  if (globals.is_null()) return name;
  Result<std::uint64_t> flags = object_flags(layout, reading.lasting, globals);
  if (!flags || (*flags & type_flag::dict_subclass) == 0) return name;
  Result<std::optional<Address>> value =
      find_in_dict(layout, reading.lasting, globals, "__name__", reading.key_search());
  if (!value || !*value) return name;
  flags = object_flags(layout, reading.lasting, **value);
  if (!flags || (*flags & type_flag::unicode_subclass) == 0) return name;
  Result<StrValue> text = read_str(layout, reading.lasting, **value, max_name_length);
  if (text) name = std::move(text->text);
  return name;
}

bool is_library_frame(Reading& reading, const FrameCopy& frame) {
  const auto [known, added] = reading.library_globals.try_emplace(globals_of(reading.layout(), frame), false);
  if (added) known->second = is_library_module(module_of(reading, frame));
  return known->second;
}

std::optional<std::int64_t> instruction_of(Reading& reading, const FrameCopy& frame, const Code& code) {
  const RuntimeLayout& layout = reading.layout();
  switch (layout.instruction_style) {
    case InstructionStyle::byte_index:
      return frame.frame.get(layout.frame_object.f_lasti);
    case InstructionStyle::unit_index: {
      std::optional<std::int64_t> index = frame.frame.get(layout.frame_object.f_lasti);
      if (index) *index *= 2;
      return index;
    }
    case InstructionStyle::prev_instr:
    case InstructionStyle::instr_ptr:
      break;
  }
  std::optional<Address> at = frame.frame.pointer(layout.interpreter_frame.instr_ptr);
  std::optional<Address> first = first_instruction(reading, frame, code);
  if (!at || !first) return std::nullopt;
  return static_cast<std::int64_t>(at->value - first->value);
}

namespace {

SourcePosition position_of(Reading& reading, const FrameCopy& frame, const Code& code,
                           std::optional<std::int64_t> instruction) {
  const RuntimeLayout& layout = reading.layout();
  // 3.10 keeps the line in f_lineno while the frame is traced, and 0 there otherwise.
  if (layout.instruction_style == InstructionStyle::unit_index) {
    std::int32_t traced = frame.frame.get(layout.frame_object.f_lineno).value_or(0);
    if (traced > 0) return {traced, 0, 0, 0};
  }
  if (!instruction) return {};
  // A recursion stands a thousand times at one place, and a table is read from its start each time.
  auto [known, fresh] = reading.positions.try_emplace({code.address, *instruction});
  if (fresh) known->second = find_position(layout.line_table, code.line_table, code.first_line, *instruction);
  return known->second;
}

bool is_incomplete(const RuntimeLayout& layout, const FrameCopy& frame, const Code& code,
                   std::optional<std::int64_t> instruction) {
  if (layout.frame_style == FrameStyle::frame_objects || !instruction) return false;
  std::uint8_t owner = frame.frame.get(layout.interpreter_frame.owner).value_or(0);
  return owner != owned_by_generator && *instruction < std::int64_t{code.first_traceable} * 2;
}

void read_frame(Reading& reading, const FrameCopy& copy, PyThread& thread) {
  const RuntimeLayout& layout = reading.layout();
  PyFrame frame;
  frame.address = copy.address;
  frame.code = copy.code;
  frame.entry = copy.entry;
  frame.loop_place = copy.loop_place;
  Result<std::shared_ptr<const Code>> code = read_code(reading, copy.code);
  if (!code) {
    // There is a frame, though nothing of it is known but that.
    frame.function_unread = frame.file_unread = true;
    thread.gaps.push_back("frame " + hex(copy.address) + ": " + code.error().message);
    thread.frames.push_back(std::move(frame));
    return;
  }
  const Code& known = **code;
  std::optional<std::int64_t> instruction = instruction_of(reading, copy, known);
  frame.trampoline = is_incomplete(layout, copy, known, instruction);
  frame.function = known.name;
  frame.qualified_name = known.qualified_name;
  frame.file = known.file;
  frame.function_unread = known.name_unread;
  frame.file_unread = known.file_unread;
  if (!known.gap.empty()) thread.gaps.push_back("code " + hex(known.address) + ": " + known.gap);
  if (!instruction)
    thread.gaps.push_back("frame " + hex(copy.address) + ": its instruction could not be found");
  SourcePosition position = position_of(reading, copy, known, instruction);
  frame.line = position.line;
  frame.end_line = position.end_line;
  frame.column = position.column;
  frame.end_column = position.end_column;
  frame.module_name = module_of(reading, copy);
  thread.frames.push_back(std::move(frame));
}

}  // namespace

void chain_frames(Reading& reading, RuntimeCopy& copy) {
  fetch_data_stacks(reading, copy);
  std::int32_t size = frame_size(reading.layout());
  std::vector<Cursor> cursors = begin_chains(reading, copy);
  std::vector<Range> wave;
  while (!cursors.empty()) {
    wave.clear();
    for (const Cursor& cursor : cursors)
      wave.push_back({cursor.next, static_cast<std::uint64_t>(std::max(size, 0))});
    reading.memory.prefetch(wave);
    for (Cursor& cursor : cursors) follow(reading, size, cursor);
    std::erase_if(cursors, [](const Cursor& cursor) { return cursor.next.is_null(); });
  }
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (const FrameCopy& frame : thread.frames) reading.stack_frames.add(frame.address);
    }
  }
}

void read_frames(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  for (std::size_t i = 0; i < copy.interpreters.size() && i < state.interpreters.size(); ++i) {
    const InterpreterCopy& from = copy.interpreters[i];
    PyInterpreter& into = state.interpreters[i];
    for (std::size_t j = 0; j < from.threads.size() && j < into.threads.size(); ++j) {
      into.threads[j].frames_gap = from.threads[j].frames_gap;
      into.threads[j].frames_left_out = from.threads[j].frames_left_out;
      into.threads[j].frames.reserve(from.threads[j].frames.size());
      for (const FrameCopy& frame : from.threads[j].frames) read_frame(reading, frame, into.threads[j]);
    }
  }
}

}  // namespace pythreads::pyframes
