// A thread's name where sentences and lines speak of it: a program may call a thread by a whole request. The
// document has it whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pythreads::report {

inline constexpr std::size_t shown_name_length = 80;  // characters

// At most this many characters of UTF-8, none of them cut in two; what was left out is shown as an ellipsis.
inline std::string shortened(std::string_view text, std::size_t characters = shown_name_length) {
  const auto begins_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!begins_character(text[at])) continue;
    if (characters == 0) return std::string(text.substr(0, at)) + "…";
    --characters;
  }
  return std::string(text);
}

}  // namespace pythreads::report
