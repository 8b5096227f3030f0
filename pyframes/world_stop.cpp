#include "pyframes/world_stop.h"

#include <cstdint>

namespace pythreads::pyframes {
namespace {

using attach::Address;

// The fields stand far behind in structs whose tails move from one release to the next: what is no stop at
// all is not believed to be one.
bool is_thread_state(const RuntimeCopy& copy, Address address) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      if (thread.tstate.at() == address) return true;
    }
  }
  return false;
}

bool is_stop(const RuntimeCopy& copy, std::optional<std::uint8_t> requested,
             std::optional<Address> requester) {
  if (!requested || !requester || *requested > 1) return false;
  // Nobody is named where a thread without a state asked for it.
  return requester->is_null() || (*requested == 1 && is_thread_state(copy, *requester));
}

bool knows_global_stop(const RuntimeLayout& layout, const RuntimeCopy& copy) {
  return copy.runtime.get(layout.runtime.stoptheworld_is_global) == 1 &&
         is_stop(copy, copy.runtime.get(layout.runtime.stoptheworld_requested),
                 copy.runtime.pointer(layout.runtime.stoptheworld_requester));
}

}  // namespace

std::optional<WorldStop> world_stop(const RuntimeLayout& layout, const RuntimeCopy& copy,
                                    const InterpreterCopy& interpreter) {
  if (!layout.free_threaded) return std::nullopt;
  const std::optional<std::uint8_t> requested =
      interpreter.interpreter.get(layout.interpreter.stoptheworld_requested);
  std::optional<Address> by = interpreter.interpreter.pointer(layout.interpreter.stoptheworld_requester);
  if (!is_stop(copy, requested, by)) return std::nullopt;
  WorldStop stop;
  stop.requested = *requested != 0;
  stop.of = interpreter.interpreter.at();
  if (!stop.requested && knows_global_stop(layout, copy) &&
      copy.runtime.get(layout.runtime.stoptheworld_requested) == 1) {
    stop = {true, true, copy.runtime.at(), Address()};
    by = copy.runtime.pointer(layout.runtime.stoptheworld_requester);
  }
  if (stop.requested) stop.requester = by.value_or(Address());
  return stop;
}

bool is_stop_event(const RuntimeLayout& layout, const RuntimeCopy& copy, const InterpreterCopy& interpreter,
                   Address address, bool& global) {
  if (!layout.free_threaded) return false;
  const auto is_at = [&](const StructCopy& in, Field<std::uint8_t> field) {
    return field.exists() && address == in.at() + static_cast<std::uint64_t>(field.offset);
  };
  global = knows_global_stop(layout, copy) && is_at(copy.runtime, layout.runtime.stoptheworld_stop_event);
  return global || is_at(interpreter.interpreter, layout.interpreter.stoptheworld_stop_event);
}

}  // namespace pythreads::pyframes
