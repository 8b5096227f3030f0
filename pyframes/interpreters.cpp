#include "pyframes/interpreters.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Memory;
using attach::Result;

constexpr std::size_t most_interpreters = 10'000;

// Where each of these fields lies that exists.
template <typename... T>
std::vector<attach::Range> parts_of(Address at, Field<T>... fields) {
  std::vector<attach::Range> parts;
  ((fields.exists() ? parts.push_back({at + static_cast<std::uint64_t>(fields.offset), sizeof(T)})
                    : static_cast<void>(0)),
   ...);
  return parts;
}

// The end of the furthest of these fields; 0 if none exists.
template <typename... T>
std::int64_t end_of(Field<T>... fields) {
  std::int64_t end = 0;
  ((end = std::max<std::int64_t>(end,
                                 fields.exists() ? fields.offset + static_cast<std::int64_t>(sizeof(T)) : 0)),
   ...);
  return end;
}

bool is_set(const StructCopy& copy, IntField field) {
  return copy.get(field).value_or(0) != 0;
}

bool is_set(const StructCopy& copy, PointerField field) {
  return copy.get(field).value_or(0) != 0;
}

void copy_threads(Reading& reading, InterpreterCopy& interpreter, std::unordered_set<Address>& visited,
                  std::size_t& threads_left) {
  const RuntimeLayout& layout = reading.layout();
  std::optional<Address> next = interpreter.interpreter.pointer(layout.interpreter.threads_head);
  if (!next) {
    interpreter.threads_gap = "the layout doesn't tell where the thread states are";
    return;
  }
  while (!next->is_null()) {
    if (threads_left == 0) {
      interpreter.threads_gap = "more threads than are read";
      return;
    }
    if (!visited.insert(*next).second) {
      interpreter.threads_gap = "the list of thread states runs in a circle";
      return;
    }
    Result<StructCopy> tstate = StructCopy::read(reading.memory, *next, layout.thread_state.size);
    if (!tstate) {
      interpreter.threads_gap = "a thread state could not be read: " + tstate.error().message;
      return;
    }
    if (tstate->pointer(layout.thread_state.interp) != interpreter.interpreter.at()) {
      interpreter.threads_gap = "a thread state that belongs to no interpreter of this list";
      return;
    }
    next = tstate->pointer(layout.thread_state.next);
    ThreadCopy thread;
    thread.tstate = *std::move(tstate);
    interpreter.threads.push_back(std::move(thread));
    --threads_left;
    if (!next) {
      interpreter.threads_gap = "the layout doesn't tell where the next thread state is";
      return;
    }
  }
}

}  // namespace

Result<StructCopy> copy_runtime_struct(const RuntimeLayout& layout, Memory& memory, Address runtime) {
  const auto& of = layout.runtime;
  if (layout.runtime_in_variables) {
    return StructCopy::read_parts(
        memory, runtime,
        parts_of(runtime, of.interpreters_head, of.main_thread, of.finalizing, of.gc_collecting));
  }
  std::int64_t size =
      end_of(of.interpreters_head, of.interpreters_main, of.main_thread, of.finalizing, of.initialized,
             of.core_initialized, of.gilstate_tstate_current, of.gc_collecting, of.thread_handles);
  // Some pages behind all others, and of use without the GIL only.
  if (layout.free_threaded) {
    size = std::max(size, end_of(of.stoptheworld_requested, of.stoptheworld_is_global,
                                 of.stoptheworld_stop_event, of.stoptheworld_requester));
  }
  // The GIL itself, where it is a part of the runtime.
  if (of.ceval_gil.exists())
    size = std::max<std::int64_t>(size, of.ceval_gil.offset + std::int64_t{layout.gil.size});
  return StructCopy::read(memory, runtime, size);
}

Result<StructCopy> copy_interpreter_struct(const RuntimeLayout& layout, Memory& memory, Address interpreter) {
  const auto& of = layout.interpreter;
  std::int64_t size =
      end_of(of.next, of.id, of.threads_head, of.threads_main, of.modules, of.sysdict, of.builtins,
             of.ceval_gil, of.own_gil, of.gil_drop_request, of.finalizing_flag, of.finalizing,
             of.gc_collecting, of.gc_frame, of.stoptheworld_requested, of.stoptheworld_world_stopped,
             of.stoptheworld_stop_event, of.stoptheworld_requester);
  return StructCopy::read(memory, interpreter, size);
}

RuntimeCopy copy_interpreters(Reading& reading) {
  const RuntimeLayout& layout = reading.layout();
  RuntimeCopy copy;
  Result<StructCopy> runtime = copy_runtime_struct(layout, reading.memory, reading.runtime.address);
  if (!runtime) {
    copy.gaps.push_back("_PyRuntime could not be read: " + runtime.error().message);
    return copy;
  }
  copy.runtime = *std::move(runtime);
  std::optional<Address> next = copy.runtime.pointer(layout.runtime.interpreters_head);
  if (!next) copy.gaps.emplace_back("the layout doesn't tell where the interpreters are");

  std::unordered_set<Address> visited;
  std::size_t threads_left = reading.options.max_threads;
  while (next && !next->is_null()) {
    if (copy.interpreters.size() >= most_interpreters || !visited.insert(*next).second) {
      copy.gaps.emplace_back("the list of interpreters has no end");
      break;
    }
    Result<StructCopy> interpreter = copy_interpreter_struct(layout, reading.memory, *next);
    if (!interpreter) {
      copy.gaps.push_back("an interpreter could not be read: " + interpreter.error().message);
      break;
    }
    InterpreterCopy found;
    found.interpreter = *std::move(interpreter);
    next = found.interpreter.pointer(layout.interpreter.next);
    copy_threads(reading, found, visited, threads_left);
    copy.interpreters.push_back(std::move(found));
  }
  return copy;
}

void read_interpreters(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  const RuntimeLayout& layout = reading.layout();
  state.gaps.insert(state.gaps.end(), copy.gaps.begin(), copy.gaps.end());
  if (std::optional<std::int32_t> initialized = copy.runtime.get(layout.runtime.initialized))
    state.initialized = *initialized != 0;
  state.finalizing = is_set(copy.runtime, layout.runtime.finalizing);
  std::optional<Address> main = copy.runtime.pointer(layout.runtime.interpreters_main);

  for (const InterpreterCopy& from : copy.interpreters) {
    PyInterpreter interpreter;
    interpreter.address = from.interpreter.at();
    // To 3.6 they have no number; the newest stands first.
    const auto older = static_cast<std::int64_t>(copy.interpreters.size() - state.interpreters.size() - 1);
    interpreter.id =
        layout.interpreter.id.exists() ? from.interpreter.get(layout.interpreter.id).value_or(0) : older;
    interpreter.main = main ? *main == interpreter.address : interpreter.id == 0;
    interpreter.finalizing = is_set(from.interpreter, layout.interpreter.finalizing) ||
                             is_set(from.interpreter, layout.interpreter.finalizing_flag);
    interpreter.threads_gap = from.threads_gap;
    for (const ThreadCopy& thread : from.threads) {
      PyThread read;
      read.tstate = thread.tstate.at();
      read.interpreter = interpreter.id;
      interpreter.threads.push_back(std::move(read));
    }
    state.interpreters.push_back(std::move(interpreter));
  }
}

}  // namespace pythreads::pyframes
