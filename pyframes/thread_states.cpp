#include "pyframes/thread_states.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "pyframes/objects.h"
#include "pyframes/world_stop.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;

std::optional<int> recursion_depth(const RuntimeLayout& layout, const StructCopy& tstate) {
  const auto& fields = layout.thread_state;
  if (fields.recursion_depth.exists()) return tstate.get(fields.recursion_depth);
  std::optional<std::int32_t> limit = tstate.get(fields.py_recursion_limit);
  std::optional<std::int32_t> remaining = tstate.get(fields.py_recursion_remaining);
  if (!limit || !remaining) {
    limit = tstate.get(fields.recursion_limit);
    remaining = tstate.get(fields.recursion_remaining);
  }
  if (!limit || !remaining) return std::nullopt;
  // RecursionError's own handling may take `remaining` a little below zero; more is no recursion count.
  const std::int64_t depth = std::int64_t{*limit} - *remaining;
  if (depth < 0 || depth > INT32_MAX) return std::nullopt;
  return static_cast<int>(depth);
}

bool is_set(const StructCopy& tstate, PointerField function) {
  const std::optional<Address> value = tstate.pointer(function);
  return value && !value->is_null();
}

pid_t collecting_thread(const RuntimeLayout& layout, const InterpreterCopy& interpreter) {
  if (interpreter.threads.size() == 1 && interpreter.threads_gap.empty()) {
    const attach::ThreadState* only = interpreter.threads.front().os_thread;
    return only ? only->tid : 0;
  }
  const std::optional<Address> frame = interpreter.interpreter.pointer(layout.interpreter.gc_frame);
  if (!frame || frame->is_null()) return 0;
  for (const ThreadCopy& thread : interpreter.threads) {
    for (const FrameCopy& candidate : thread.frames) {
      if (candidate.address == *frame) return thread.os_thread ? thread.os_thread->tid : 0;
    }
  }
  return 0;
}

pid_t tid_of(const RuntimeCopy& copy, Address tstate) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      if (thread.tstate.at() == tstate) return thread.os_thread ? thread.os_thread->tid : 0;
    }
  }
  return 0;
}

void read_stop_the_world(const RuntimeLayout& layout, const RuntimeCopy& copy,
                         const InterpreterCopy& interpreter, PyInterpreter& state) {
  const std::optional<WorldStop> stop = world_stop(layout, copy, interpreter);
  if (!stop) return;
  state.stop_the_world_requested = stop->requested;
  if (!stop->requester.is_null()) state.stop_the_world_requester = tid_of(copy, stop->requester);
}

std::optional<PyAttachment> attachment(const RuntimeLayout& layout, const StructCopy& tstate) {
  constexpr std::array words{PyAttachment::detached, PyAttachment::attached, PyAttachment::suspended,
                             PyAttachment::shutting_down};
  const std::optional<std::int32_t> state = tstate.get(layout.thread_state.state);
  if (!state || *state < 0 || *state >= static_cast<std::int32_t>(words.size())) return std::nullopt;
  return words[static_cast<std::size_t>(*state)];
}

}  // namespace

void fetch_thread_states(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      const std::optional<Address> type = thread.tstate.pointer(layout.thread_state.async_exc);
      // Rare, and a class may go away with its exception: read as a whole while it stands still.
      if (type && !type->is_null()) static_cast<void>(qualified_type_name(layout, reading.memory, *type));
    }
  }
}

void read_thread_states(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  const RuntimeLayout& layout = reading.layout();
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const InterpreterCopy& interpreter = copy.interpreters[i];
    PyInterpreter& interpreter_state = state.interpreters[i];
    const std::optional<std::int32_t> collecting =
        layout.interpreter.gc_collecting.exists()
            ? interpreter.interpreter.get(layout.interpreter.gc_collecting)
            : copy.runtime.get(layout.runtime.gc_collecting);
    if (collecting) interpreter_state.gc_collecting = *collecting != 0;
    if (interpreter_state.gc_collecting == true)
      interpreter_state.gc_tid = collecting_thread(layout, interpreter);
    read_stop_the_world(layout, copy, interpreter, interpreter_state);

    for (std::size_t j = 0; j < std::min(interpreter.threads.size(), interpreter_state.threads.size()); ++j) {
      const StructCopy& tstate = interpreter.threads[j].tstate;
      PyThread& thread = interpreter_state.threads[j];
      thread.recursion_depth = recursion_depth(layout, tstate);
      thread.attachment = attachment(layout, tstate);
      thread.tracing = is_set(tstate, layout.thread_state.c_tracefunc);
      thread.profiling = is_set(tstate, layout.thread_state.c_profilefunc);
      const std::optional<Address> async_exc = tstate.pointer(layout.thread_state.async_exc);
      if (!async_exc || async_exc->is_null()) continue;
      attach::Result<std::string> name = qualified_type_name(layout, reading.memory, *async_exc);
      if (name) {
        thread.pending_async_exception = *std::move(name);
      } else {
        thread.pending_async_exception = "unknown";
        thread.gaps.push_back("the type of the pending exception could not be read: " + name.error().message);
      }
    }
  }
}

}  // namespace pythreads::pyframes
