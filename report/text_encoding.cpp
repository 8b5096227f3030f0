#include "report/text_encoding.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace pythreads::report {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// The Unicode standard's table of well-formed sequences: first byte, second byte, length.
struct WellFormed {
  unsigned first, last, second_first, second_last;
  std::size_t length;
};
constexpr std::array<WellFormed, 9> well_formed{{{0x00, 0x7F, 0x00, 0x00, 1},
                                                 {0xC2, 0xDF, 0x80, 0xBF, 2},
                                                 {0xE0, 0xE0, 0xA0, 0xBF, 3},
                                                 {0xE1, 0xEC, 0x80, 0xBF, 3},
                                                 {0xED, 0xED, 0x80, 0x9F, 3},
                                                 {0xEE, 0xEF, 0x80, 0xBF, 3},
                                                 {0xF0, 0xF0, 0x90, 0xBF, 4},
                                                 {0xF1, 0xF3, 0x80, 0xBF, 4},
                                                 {0xF4, 0xF4, 0x80, 0x8F, 4}}};

bool is_continuation(unsigned byte) {
  return (byte & 0xC0U) == 0x80U;
}

bool is_surrogate(std::string_view text) {
  return text.size() >= 3 && byte_at(text, 0) == 0xED && byte_at(text, 1) >= 0xA0 &&
         byte_at(text, 1) <= 0xBF && is_continuation(byte_at(text, 2));
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned first = byte_at(text, 0);
  for (const WellFormed& row : well_formed) {
    if (first < row.first || first > row.last) continue;
    if (text.size() < row.length) return 0;
    if (row.length == 1) return 1;
    if (byte_at(text, 1) < row.second_first || byte_at(text, 1) > row.second_last) return 0;
    for (std::size_t i = 2; i < row.length; ++i) {
      if (!is_continuation(byte_at(text, i))) return 0;
    }
    return row.length;
  }
  return 0;
}

char32_t utf8_code_point(std::string_view text) {
  const std::size_t length = utf8_length(text);
  if (length <= 1) return length == 0 ? 0 : byte_at(text, 0);
  char32_t code = byte_at(text, 0) & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) code = (code << 6U) | (byte_at(text, i) & 0x3FU);
  return code;
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char each) { return each >= 0x20 && each < 0x7F; });
}

std::string valid_utf8(std::string_view bytes) {
  if (is_printable_ascii(bytes)) return std::string(bytes);
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    std::size_t length = utf8_length(bytes);
    char escape[8];
    if (length > 0) {
      text.append(bytes.substr(0, length));
    } else if (is_surrogate(bytes)) {
      const unsigned code = 0xD000U | ((byte_at(bytes, 1) & 0x3FU) << 6U) | (byte_at(bytes, 2) & 0x3FU);
      std::snprintf(escape, sizeof escape, "\\u%04X", code);
      text += escape;
      length = 3;
    } else {
      std::snprintf(escape, sizeof escape, "\\x%02x", byte_at(bytes, 0));
      text += escape;
      length = 1;
    }
    bytes.remove_prefix(length);
  }
  return text;
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto total = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(total);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(total - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                std::clamp(static_cast<int>(date.year()), 0, 9999), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                static_cast<int>(clock.subseconds().count()));
  return text;
}

}  // namespace pythreads::report
