#include "pyframes/suspended_frames.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

// Which values of gi_frame_state (f_state in 3.10) say that a frame was suspended at a yield.
struct SuspendedStates {
  int minor = 0;  // from this one on
  std::int8_t first = 0, last = 0;
};
constexpr std::array suspended_states{
    SuspendedStates{10, -1, -1},  // FRAME_SUSPENDED
    SuspendedStates{13, -2, -1},  // FRAME_SUSPENDED, FRAME_SUSPENDED_YIELD_FROM
    SuspendedStates{15, 1, 3},    // the same and …_LOCKED, counted upwards
};

bool is_suspended_state(const PyVersion& version, std::int8_t state) {
  const SuspendedStates* row = nullptr;
  for (const SuspendedStates& each : suspended_states) {
    if (each.minor <= version.minor) row = &each;
  }
  return row != nullptr && state >= row->first && state <= row->last;
}

}  // namespace

bool is_generator(Reading& reading, Address object) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  if (!type || type->is_null()) return false;
  const auto [known, added] = reading.generator_types.try_emplace(*type, false);
  if (!added) return known->second;
  const Result<std::string> name = type_name(reading.layout(), reading.lasting, *type);
  return known->second = name && (*name == "generator" || *name == "coroutine" || *name == "async_generator");
}

std::optional<FrameCopy> suspended_frame(Reading& reading, Address generator) {
  if (!is_generator(reading, generator)) return std::nullopt;
  const RuntimeLayout& layout = reading.layout();
  const auto at = [](auto field) { return static_cast<std::uint64_t>(std::max(field.offset, 0)); };
  FrameCopy copy;
  if (layout.frame_style == FrameStyle::frame_objects) {
    if (!layout.generator.gi_frame.exists()) return std::nullopt;
    const Result<Address> frame = reading.memory.read_address(generator + at(layout.generator.gi_frame));
    if (!frame || frame->is_null()) return std::nullopt;
    if (layout.generator.gi_running.exists()) {
      const Result<std::uint8_t> running =
          reading.memory.read_value<std::uint8_t>(generator + at(layout.generator.gi_running));
      if (!running || *running != 0) return std::nullopt;
    }
    copy.address = *frame;
    Result<StructCopy> fixed = StructCopy::read(reading.memory, copy.address, layout.frame_object.size);
    if (!fixed) return std::nullopt;
    if (layout.frame_object.f_state.exists()) {
      const auto state = static_cast<std::int8_t>(fixed->get(layout.frame_object.f_state).value_or(0));
      if (!is_suspended_state(reading.runtime.version, state)) return std::nullopt;
    }
    copy.code = fixed->pointer(layout.frame_object.f_code).value_or(Address());
    copy.frame = *std::move(fixed);
  } else {
    if (!layout.generator.gi_frame_state.exists() || !layout.generator.gi_iframe.exists())
      return std::nullopt;
    const Result<std::uint8_t> state =
        reading.memory.read_value<std::uint8_t>(generator + at(layout.generator.gi_frame_state));
    if (!state || !is_suspended_state(reading.runtime.version, static_cast<std::int8_t>(*state)))
      return std::nullopt;
    copy.address = generator + at(layout.generator.gi_iframe);
    Result<StructCopy> fixed = StructCopy::read(reading.memory, copy.address, layout.interpreter_frame.size);
    if (!fixed) return std::nullopt;
    copy.code = fixed->pointer(layout.interpreter_frame.f_executable).value_or(Address());
    if (layout.tagged_stackrefs) copy.code = Address(copy.code.value & ~std::uint64_t{3});
    copy.frame = *std::move(fixed);
  }
  // One that is being resumed, or is just yielding, is still on its thread's stack, which tells more.
  if (reading.stack_frames.contains(copy.address)) return std::nullopt;
  const Result<bool> right = is_code(reading, copy.code);
  if (!right || !*right) return std::nullopt;
  return copy;
}

}  // namespace pythreads::pyframes
