// The exception table of a code object (3.11 on): which handler an instruction's exception would go to, and
// how deep the value stack is there. Pure functions of untrusted bytes.
//
// Entries of four numbers in 6-bit groups: start, length and target in 2-byte units, depth << 1 | lasti; the
// first byte of an entry has bit 7, all but the last of a number bit 6 (Objects/exception_handling_notes.txt
// at v3.11.0).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pythreads::pyframes {

struct ExceptionHandler {
  std::int64_t target = 0;  // offset of the handler in bytes
  std::uint32_t depth = 0;  // of the value stack when it is entered, without what is pushed for it
};

struct ExceptionEntry {
  std::int64_t begin = 0, end = 0;  // the instructions that it covers, offsets in bytes
  ExceptionHandler handler;
};

// Sorted by `begin`, for CPython writes them so. As far as the bytes can be understood.
using ExceptionTable = std::vector<ExceptionEntry>;
ExceptionTable parse_exception_table(std::span<const std::uint8_t> bytes);

// Where the first instruction stands whose handler is `target`; `target` itself where there is none.
std::int64_t find_first_covered(const ExceptionTable& table, std::int64_t target);

// The handler of the instruction at `instruction` (offset in bytes); none: no entry covers it.
std::optional<ExceptionHandler> find_handler(const ExceptionTable& table, std::int64_t instruction);

}  // namespace pythreads::pyframes
