// Reads what write_truth.py writes first for each code object, and prints what pythreads finds in the table
// in the form of its second line.
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "pyframes/line_table.h"

int main() {
  using pythreads::pyframes::LineTable;
  using pythreads::pyframes::SourcePosition;
  const std::map<std::string, LineTable> forms = {{"lnotab", LineTable::lnotab},
                                                  {"linetable", LineTable::linetable},
                                                  {"location_table", LineTable::location_table}};
  std::string form, digits;
  std::int32_t first_line = 0;
  std::int64_t size = 0;
  while (std::cin >> form >> first_line >> digits >> size) {
    const auto known = forms.find(form);
    if (known == forms.end() || size < 0) return 1;
    std::vector<std::uint8_t> table;
    for (std::size_t i = 0; digits != "-" && i + 1 < digits.size(); i += 2)
      table.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    const auto at = [&](std::int64_t instruction) {
      return pythreads::pyframes::find_position(known->second, table, first_line, instruction);
    };
    std::cout << at(-1).line;
    for (std::int64_t instruction = 0; instruction < size; instruction += 2) {
      const SourcePosition position = at(instruction);
      std::cout << ' ' << position.line;
      if (known->second == LineTable::location_table)
        std::cout << ',' << position.end_line << ',' << position.column << ',' << position.end_column;
    }
    std::cout << '\n';
  }
  return 0;
}
