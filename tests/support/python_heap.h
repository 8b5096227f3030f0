// A CPython written into a FakeMemory by any layout: _PyRuntime, interpreters with a `sys`, thread states,
// frames and code objects. What the walks over them see is what they would see of a process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::tests {

// The layout as a reader gets it: to 3.6 no table tells where the runtime's variables are, but their symbols.
inline pyframes::RuntimeLayout with_runtime(pyframes::RuntimeLayout layout) {
  if (!layout.runtime_in_variables) return layout;
  layout.runtime.size = 64;
  layout.runtime.interpreters_head = {8};
  return layout;
}

class PythonHeap : public ObjectBuilder {
 public:
  explicit PythonHeap(const pyframes::RuntimeLayout& layout) : ObjectBuilder(layout) {
    runtime_ = allocate(static_cast<std::uint64_t>(layout.runtime.size));
    set(runtime_, layout.runtime.initialized, 1);
  }

  attach::Address runtime() const { return runtime_; }

  // Newest first, as CPython lists them; the first that is added is the main one.
  attach::Address add_interpreter(std::int64_t id) {
    const attach::Address at = allocate(static_cast<std::uint64_t>(layout().interpreter.size));
    set(at, layout().interpreter.id, id);
    set(at, layout().interpreter.next, head_);
    head_ = at;
    set(runtime_, layout().runtime.interpreters_head, at);
    if (id == 0) set(runtime_, layout().runtime.interpreters_main, at);
    return at;
  }

  void set_sys(attach::Address interpreter, std::uint32_t hexversion, std::string_view abiflags) {
    set(interpreter, layout().interpreter.sysdict,
        dict({{str("platform"), str("linux")},
              {str("hexversion"), integer(hexversion)},
              {str("abiflags"), str(abiflags)}}));
  }

  // At the head of the interpreter's list.
  attach::Address add_thread(attach::Address interpreter, std::uint64_t ident) {
    const attach::Address at = allocate(static_cast<std::uint64_t>(layout().thread_state.size));
    const attach::Address field =
        interpreter + static_cast<std::uint64_t>(layout().interpreter.threads_head.offset);
    set(at, layout().thread_state.next, *memory().read_address(field));
    set(at, layout().thread_state.interp, interpreter);
    set(at, layout().thread_state.thread_id, ident);
    memory().put(field, at.value);
    return at;
  }

  // `table` is its line table; it has room for `instructions` bytes of code.
  attach::Address code(std::string_view name, std::string_view file, std::int32_t first_line,
                       std::string_view table, std::uint64_t instructions = 64) {
    const auto& of = layout().code;
    const attach::Address at = object(type("code"), static_cast<std::uint64_t>(of.size) + instructions);
    set(at, of.co_name, str(name));
    set(at, of.co_qualname, str("Owner." + std::string(name)));
    set(at, of.co_filename, str(file));
    set(at, of.co_firstlineno, first_line);
    set(at, of.co_linetable, bytes(table));
    return at;
  }

  // A frame of the code at `instruction` (bytes into it), called by `caller`. The innermost one is made the
  // thread's by set_frame.
  attach::Address frame(attach::Address code_at, std::int64_t instruction, attach::Address caller,
                        int owner = 0) {
    if (layout().frame_style == pyframes::FrameStyle::frame_objects) {
      const auto& of = layout().frame_object;
      const attach::Address at = object(type("frame"), static_cast<std::uint64_t>(of.size));
      set(at, of.f_back, caller);
      set(at, of.f_code, code_at);
      const bool units = layout().instruction_style == pyframes::InstructionStyle::unit_index;
      set(at, of.f_lasti, units ? instruction / 2 : instruction);
      return at;
    }
    const auto& of = layout().interpreter_frame;
    const attach::Address at = allocate(static_cast<std::uint64_t>(of.size));
    set(at, of.previous, caller);
    set(at, of.f_executable, code_at.value | (layout().tagged_stackrefs ? 1U : 0U));
    set(at, of.instr_ptr,
        code_at + static_cast<std::uint64_t>(layout().code.co_code_adaptive.offset) +
            static_cast<std::uint64_t>(instruction));
    set(at, of.owner, owner);
    return at;
  }

  void set_frame(attach::Address tstate, attach::Address frame_at) {
    if (layout().frame_style != pyframes::FrameStyle::cframe) {
      set(tstate, layout().thread_state.frame, frame_at);
      set(tstate, layout().thread_state.current_frame, frame_at);
      return;
    }
    const attach::Address cframe = allocate(32);
    set(cframe, layout().cframe.current_frame, frame_at);
    set(tstate, layout().thread_state.cframe, cframe);
  }

 private:
  attach::Address runtime_, head_;
};

}  // namespace pythreads::tests
