#include "pyframes/exception_table.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

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

ExceptionTable parse_exception_table(std::span<const std::uint8_t> bytes) {
  ExceptionTable table;
  while (!bytes.empty()) {
    const std::optional<std::uint32_t> start = next_number(bytes);
    const std::optional<std::uint32_t> length = next_number(bytes);
    const std::optional<std::uint32_t> target = next_number(bytes);
    const std::optional<std::uint32_t> depth = next_number(bytes);
    if (!start || !length || !target || !depth) break;
    const std::int64_t begin = std::int64_t{*start} * unit_size;
    if (!table.empty() && begin < table.back().begin) break;
    table.push_back(
        {begin, begin + std::int64_t{*length} * unit_size, {std::int64_t{*target} * unit_size, *depth >> 1}});
  }
  return table;
}

std::int64_t find_first_covered(const ExceptionTable& table, std::int64_t target) {
  const auto first = std::find_if(table.begin(), table.end(),
                                  [&](const ExceptionEntry& each) { return each.handler.target == target; });
  return first == table.end() ? target : std::min(target, first->begin);
}

std::optional<ExceptionHandler> find_handler(const ExceptionTable& table, std::int64_t instruction) {
  const auto behind =
      std::upper_bound(table.begin(), table.end(), instruction,
                       [](std::int64_t at, const ExceptionEntry& each) { return at < each.begin; });
  if (behind == table.begin()) return std::nullopt;
  const ExceptionEntry& last = *std::prev(behind);
  return instruction < last.end ? std::optional(last.handler) : std::nullopt;
}

}  // namespace pythreads::pyframes
