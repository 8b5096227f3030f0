#include "pyframes/line_table.h"

#include <cstddef>
#include <limits>

namespace pythreads::pyframes {
namespace {

// Sums of deltas of an untrusted table: what doesn't fit an int is no line.
int line_or_none(std::int64_t line) {
  if (line <= 0 || line > std::numeric_limits<int>::max()) return 0;
  return static_cast<int>(line);
}

// Up to 3.10 a table says where a statement begins, and not where it ends.
SourcePosition only_line(std::int64_t line) {
  SourcePosition position;
  position.line = line_or_none(line);
  return position;
}

std::int64_t signed_byte(std::uint8_t byte) {
  return static_cast<std::int8_t>(byte);
}

// Kinds of entries of the location table, the high bits of an entry's first byte (Objects/locations.md).
constexpr unsigned last_short_kind = 9;
constexpr unsigned first_one_line_kind = 10;  // 10, 11, 12: on the line of before, 1 or 2 after it
constexpr unsigned last_one_line_kind = 12;
constexpr unsigned no_columns_kind = 13;
constexpr unsigned long_kind = 14;
constexpr unsigned no_location_kind = 15;

// The bytes after an entry's first. The end of the table reads as zeroes: the loop over entries ends then.
class EntryReader {
 public:
  EntryReader(std::span<const std::uint8_t> table, std::size_t at) : table_(table), at_(at) {}

  std::int64_t byte() { return at_ < table_.size() ? table_[at_++] : 0; }

  // Six bits a byte, lowest first; bit 6 says that another follows. No line or column of CPython's takes more
  // than six bytes: one that goes on is cut, or a table of nothing else would be read once for each of its
  // entries.
  std::int64_t varint() {
    constexpr unsigned most_bits = 36;
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < most_bits && at_ < table_.size(); shift += 6) {
      std::uint8_t next = table_[at_++];
      value |= static_cast<std::uint64_t>(next & 63) << shift;
      if ((next & 64) == 0) break;
    }
    return static_cast<std::int64_t>(value);
  }

  // The sign is the lowest bit.
  std::int64_t signed_varint() {
    std::int64_t value = varint();
    return (value & 1) != 0 ? -(value >> 1) : value >> 1;
  }

 private:
  std::span<const std::uint8_t> table_;
  std::size_t at_;
};

// What one entry adds to the line, and its other columns if it is the one that was asked for.
struct Entry {
  std::int64_t line_delta = 0;
  bool has_line = true;
  std::int64_t end_line_delta = 0;
  std::int64_t column = 0, end_column = 0;  // from 1; 0: not known
};

Entry read_entry(std::span<const std::uint8_t> table, std::size_t at) {
  unsigned kind = table[at] >> 3 & 15U;
  EntryReader reader(table, at + 1);
  Entry entry;
  if (kind <= last_short_kind) {
    std::int64_t second = reader.byte();
    entry.column = static_cast<std::int64_t>(kind) * 8 + (second >> 4) + 1;
    entry.end_column = entry.column + (second & 15);
  } else if (kind >= first_one_line_kind && kind <= last_one_line_kind) {
    entry.line_delta = kind - first_one_line_kind;
    entry.column = reader.byte() + 1;
    entry.end_column = reader.byte() + 1;
  } else if (kind == no_columns_kind) {
    entry.line_delta = reader.signed_varint();
  } else if (kind == long_kind) {
    entry.line_delta = reader.signed_varint();
    entry.end_line_delta = reader.varint();
    entry.column = reader.varint();  // 0 is CPython's own word for unknown
    entry.end_column = reader.varint();
  } else if (kind == no_location_kind) {
    entry.has_line = false;
  }
  return entry;
}

int column_or_none(std::int64_t column) {
  return line_or_none(column);
}

}  // namespace

SourcePosition position_in_lnotab(std::span<const std::uint8_t> table, std::int32_t first_line,
                                  std::int64_t instruction) {
  // Pairs of an unsigned address increment and a signed line increment; the last pair that begins at or
  // before the instruction stands.
  std::int64_t line = first_line;
  std::int64_t address = 0;
  for (std::size_t i = 0; i + 1 < table.size(); i += 2) {
    address += table[i];
    if (address > instruction) break;
    line += signed_byte(table[i + 1]);
  }
  return only_line(line);
}

SourcePosition position_in_linetable(std::span<const std::uint8_t> table, std::int32_t first_line,
                                     std::int64_t instruction) {
  if (instruction < 0) return only_line(first_line);
  // Pairs of an unsigned length and a signed line increment; -128 says that the range has no line.
  std::int64_t line = first_line;
  std::int64_t end = 0;
  for (std::size_t i = 0; i + 1 < table.size(); i += 2) {
    std::int64_t delta = signed_byte(table[i + 1]);
    bool has_line = delta != -128;
    if (has_line) line += delta;
    end += table[i];
    if (instruction < end) return has_line ? only_line(line) : SourcePosition{};
  }
  return {};
}

SourcePosition position_in_location_table(std::span<const std::uint8_t> table, std::int32_t first_line,
                                          std::int64_t instruction) {
  if (instruction < 0) return {line_or_none(first_line), line_or_none(first_line), 0, 0};
  std::int64_t line = first_line;
  std::int64_t end = 0;
  // The first byte of an entry has its highest bit set, no other byte has.
  for (std::size_t at = 0; at < table.size();) {
    Entry entry = read_entry(table, at);
    line += entry.line_delta;
    end += ((table[at] & 7) + 1) * 2;
    if (instruction < end) {
      if (!entry.has_line) return {};
      SourcePosition position = only_line(line);
      position.end_line = line_or_none(line + entry.end_line_delta);
      position.column = column_or_none(entry.column);
      position.end_column = column_or_none(entry.end_column);
      return position;
    }
    do {
      ++at;
    } while (at < table.size() && (table[at] & 128) == 0);
  }
  return {};
}

SourcePosition find_position(LineTable form, std::span<const std::uint8_t> table, std::int32_t first_line,
                             std::int64_t instruction) {
  switch (form) {
    case LineTable::lnotab:
      return position_in_lnotab(table, first_line, instruction);
    case LineTable::linetable:
      return position_in_linetable(table, first_line, instruction);
    case LineTable::location_table:
      return position_in_location_table(table, first_line, instruction);
  }
  return {};
}

}  // namespace pythreads::pyframes
