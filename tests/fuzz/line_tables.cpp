// The three line tables, each given every input, at several instructions: any bytes give an answer, and one
// that a source file could have.
#include <cstdint>
#include <cstring>
#include <span>

#include "pyframes/line_table.h"
#include "tests/fuzz/require.h"

// Four bytes of the first line, eight of an instruction, then the table.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pythreads::pyframes::LineTable;
  using pythreads::pyframes::SourcePosition;
  using pythreads::tests::require;
  std::int32_t first_line = 0;
  std::int64_t asked = 0;
  if (size < sizeof first_line + sizeof asked) return 0;
  std::memcpy(&first_line, data, sizeof first_line);
  std::memcpy(&asked, data + sizeof first_line, sizeof asked);
  const std::span<const std::uint8_t> table = std::span(data, size).subspan(sizeof first_line + sizeof asked);
  for (LineTable form : {LineTable::lnotab, LineTable::linetable, LineTable::location_table}) {
    for (std::int64_t instruction : {asked, std::int64_t{-2}, std::int64_t{0}, std::int64_t{2},
                                     static_cast<std::int64_t>(table.size()), INT64_MAX, INT64_MIN}) {
      const SourcePosition position =
          pythreads::pyframes::find_position(form, table, first_line, instruction);
      require(position.line >= 0 && position.end_line >= 0, "a line is not negative");
      require(position.column >= 0 && position.end_column >= 0, "a column is not negative");
      require(
          instruction >= 0 || form == LineTable::lnotab || position.line == (first_line > 0 ? first_line : 0),
          "before the code is the first line");
    }
  }
  return 0;
}
