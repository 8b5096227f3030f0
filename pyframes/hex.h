// An address as text: "0x7f12…", without leading zeroes, as CPython's %p and faulthandler show it.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include "attach/address.h"

namespace pythreads::pyframes {

inline std::string hex(std::uint64_t value) {
  std::array<char, 16> digits{};
  const std::to_chars_result end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return "0x" + std::string(digits.data(), end.ptr);
}

inline std::string hex(attach::Address at) {
  return hex(at.value);
}

}  // namespace pythreads::pyframes
