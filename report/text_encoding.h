// Whatever bytes the target has, the document's text is valid UTF-8: a byte that is none is shown as the four
// characters \xNN, a surrogate (which CPython keeps for bytes that it could not decode, PEP 383, and which
// `surrogatepass` writes as three bytes) as the six characters \uDCNN.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace pythreads::report {

std::string valid_utf8(std::string_view bytes);

// Nearly all text of a dump is so, and needs no look at each character.
bool is_printable_ascii(std::string_view text);

// The length of the valid UTF-8 character (Unicode 15, table 3-7) that `text` begins with; 0 if there is
// none.
std::size_t utf8_length(std::string_view text);

// The code point of the valid character that `text` begins with.
char32_t utf8_code_point(std::string_view text);

// RFC 3339, UTC, with milliseconds: "2026-01-02T03:04:05.678Z". Years outside of 0 to 9999 are cut to them.
std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace pythreads::report
