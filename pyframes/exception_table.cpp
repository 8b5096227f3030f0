#include "pyframes/exception_table.h"

#include <algorithm>
#include <cstddef>

namespace pythreads::pyframes {
namespace {

constexpr std::int64_t unit_size = 2;

// The next number; none at the end, or where it has more groups than 32 bits need.
std::optional<std::uint32_t> next_number(std::span<const std::uint8_t>& bytes) {
  std::uint32_t value = 0;
  for (int groups = 0; groups < 6 && !bytes.empty(); ++groups) {
    const std::uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    value = value << 6 | (byte & 0x3FU);
    if ((byte & 0x40U) == 0) return value;
  }
  return std::nullopt;
}

}  // namespace

std::int64_t find_first_covered(std::span<const std::uint8_t> table, std::int64_t target) {
  std::int64_t first = target;
  while (!table.empty()) {
    const std::optional<std::uint32_t> start = next_number(table);
    const std::optional<std::uint32_t> length = next_number(table);
    const std::optional<std::uint32_t> handler = next_number(table);
    if (!start || !length || !handler || !next_number(table)) break;
    if (std::int64_t{*handler} * unit_size == target)
      first = std::min(first, std::int64_t{*start} * unit_size);
  }
  return first;
}

std::optional<ExceptionHandler> find_handler(std::span<const std::uint8_t> table, std::int64_t instruction) {
  while (!table.empty()) {
    const std::optional<std::uint32_t> start = next_number(table);
    const std::optional<std::uint32_t> length = next_number(table);
    const std::optional<std::uint32_t> target = next_number(table);
    const std::optional<std::uint32_t> depth = next_number(table);
    if (!start || !length || !target || !depth) return std::nullopt;
    const std::int64_t begin = std::int64_t{*start} * unit_size;
    if (instruction < begin) return std::nullopt;  // entries are sorted
    if (instruction < begin + std::int64_t{*length} * unit_size) {
      return ExceptionHandler{std::int64_t{*target} * unit_size, *depth >> 1};
    }
  }
  return std::nullopt;
}

}  // namespace pythreads::pyframes
