#include "pyframes/unwinding.h"

#include <optional>
#include <string>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

bool is_raising(const RuntimeLayout& layout, const ThreadCopy& thread) {
  const PointerField field = layout.thread_state.current_exception.exists()
                                 ? layout.thread_state.current_exception
                                 : layout.thread_state.curexc_type;
  const std::optional<Address> exception = thread.tstate.pointer(field);
  return exception && !exception->is_null();
}

// A generator that is being closed handles GeneratorExit.
bool is_closing(Reading& reading, const ThreadCopy& thread) {
  const RuntimeLayout& layout = reading.layout();
  const std::optional<Address> item = thread.tstate.pointer(layout.thread_state.exc_info);
  if (!item || item->is_null() || !layout.err_stack_item.exc_value.exists()) return false;
  const Result<Address> value =
      reading.memory.read_address(*item + static_cast<std::uint64_t>(layout.err_stack_item.exc_value.offset));
  if (!value || value->is_null()) return false;
  const Result<Address> type = type_of(layout, reading.memory, *value);
  const Result<std::string> name =
      type ? type_name(layout, reading.lasting, *type) : Result<std::string>(type.error());
  return name && *name == "GeneratorExit";
}

// While a tracer or a profiler is told of an exception, it lies aside, and nothing shows it. A generator that
// an exception goes through was entered from C, by who closes it.
bool may_lie_aside(const RuntimeLayout& layout, const ThreadCopy& thread, const FrameCopy& inner) {
  constexpr std::uint8_t owned_by_generator = 1;  // FRAME_OWNED_BY_GENERATOR
  return thread.tstate.get(layout.thread_state.tracing).value_or(0) > 0 &&
         inner.frame.get(layout.interpreter_frame.owner).value_or(0) == owned_by_generator;
}

bool may_be_unwinding(Reading& reading, const ThreadCopy& thread, std::size_t frame) {
  const bool innermost = frame == 0;
  // What a frame that is unwound runs meanwhile was entered from C: finalizers, generators that end.
  if (!innermost && (frame > thread.frames.size() || !thread.frames[frame - 1].entry)) return false;
  if (is_raising(reading.layout(), thread)) return true;
  return !innermost &&
         (is_closing(reading, thread) || may_lie_aside(reading.layout(), thread, thread.frames[frame - 1]));
}

}  // namespace

bool may_be_left(Reading& reading, const ThreadCopy& thread, std::size_t frame, const OpenWith& block) {
  if (reading.layout().frame_style == FrameStyle::frame_objects) return false;
  return block.passed || may_be_unwinding(reading, thread, frame);
}

}  // namespace pythreads::pyframes
