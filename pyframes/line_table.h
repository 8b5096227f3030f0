// Which source line and columns an instruction comes from: pure functions of the bytes of a code object.
//
// Three forms, each as CPython reads it: co_lnotab to 3.9 (Objects/lnotab_notes.txt at v3.9.0), PEP 626's
// co_linetable in 3.10 (Objects/lnotab_notes.txt at v3.10.0), the location table from 3.11 on
// (Objects/locations.md at v3.11.0, InternalDocs/code_objects.md later). The bytes come from an untrusted
// target: any bytes give an answer, none an endless loop.
#pragma once

#include <cstdint>
#include <span>

#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

struct SourcePosition {
  int line = 0;  // 0: none (an instruction that CPython itself made, or a table that doesn't reach so far)
  int end_line = 0;
  int column = 0, end_column = 0;  // from 1, in bytes of UTF-8; 0: not known
  bool operator==(const SourcePosition&) const = default;
};

// `instruction` is an offset into the code in bytes; -1 (before the first instruction) is the first line, as
// PyCode_Addr2Line has it.
SourcePosition find_position(LineTable form, std::span<const std::uint8_t> table, std::int32_t first_line,
                             std::int64_t instruction);

SourcePosition position_in_lnotab(std::span<const std::uint8_t> table, std::int32_t first_line,
                                  std::int64_t instruction);
SourcePosition position_in_linetable(std::span<const std::uint8_t> table, std::int32_t first_line,
                                     std::int64_t instruction);
SourcePosition position_in_location_table(std::span<const std::uint8_t> table, std::int32_t first_line,
                                          std::int64_t instruction);

}  // namespace pythreads::pyframes
