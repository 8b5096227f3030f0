// What is read while a target is held, the most needed first. The pause budget gives them up from the last
// on: the target must go on in time, and a look without local variables still tells who holds what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pythreads::attach {

enum class HeldPart : std::uint8_t {
  words,   // thread states, frames, the GIL, locks and who holds them: never given up
  stacks,  // of native calls
  names,   // of threads; those of locks are read after the release
  locals,  // local variables, and the exceptions that are being handled
};

constexpr std::size_t held_parts = 4;

// As a user calls it.
constexpr std::string_view spoken_name(HeldPart part) {
  switch (part) {
    case HeldPart::words:
      return "locks and frames";
    case HeldPart::stacks:
      return "native stacks";
    case HeldPart::names:
      return "names of threads";
    case HeldPart::locals:
      return "local variables and exceptions";
  }
  return "";
}

}  // namespace pythreads::attach
