#include "pyframes/deque_items.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_cells = 16;  // of one closure
constexpr std::uint64_t word = 8;

// {ob_size, leftblock, rightblock, leftindex} behind the head, {left, 64 items, right} in a block.
constexpr std::uint64_t left_block = 8, left_index = 24;
constexpr std::int64_t block_length = 64;
constexpr std::uint64_t block_data = 8, block_right = 8 + 8 * 64;

std::optional<std::uint64_t> read_word(Reading& reading, Address at) {
  const Result<std::uint64_t> value = reading.memory.read_value<std::uint64_t>(at);
  return value ? std::optional(*value) : std::nullopt;
}

bool is_of_type(Reading& reading, Address object, std::string_view name) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  if (!type || type->is_null()) return false;
  const Result<std::string> found = type_name(reading.layout(), reading.lasting, *type);
  return found && *found == name;
}

}  // namespace

std::vector<Address> deque_items(Reading& reading, Address deque, std::size_t limit) {
  if (!is_of_type(reading, deque, "collections.deque")) return {};
  const Address body = deque + static_cast<std::uint64_t>(reading.layout().object.size);
  const auto size = read_word(reading, body);
  const auto block = read_word(reading, body + left_block);
  const auto index = read_word(reading, body + left_index);
  if (!size || !block || !index) return {};
  std::vector<Address> found;
  Address at(*block);
  auto place = static_cast<std::int64_t>(*index);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(*size, limit); ++i, ++place) {
    if (place == block_length) {
      const auto right = read_word(reading, at + block_right);
      if (!right) break;
      at = Address(*right);
      place = 0;
    }
    if (place < 0 || place > block_length) break;
    const auto item = read_word(reading, at + block_data + static_cast<std::uint64_t>(place) * word);
    if (!item) break;
    if (*item != 0) found.emplace_back(*item);
  }
  return found;
}

std::vector<Address> closure_of(Reading& reading, Address function) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<Address> held;
  if (!layout.function.func_closure.exists() || !is_of_type(reading, function, "function")) return held;
  const auto closure =
      read_word(reading, function + static_cast<std::uint64_t>(layout.function.func_closure.offset));
  if (!closure || *closure == 0 || !is_of_type(reading, Address(*closure), "tuple")) return held;
  const Result<Items> cells = read_tuple(layout, reading.memory, Address(*closure), max_cells);
  if (!cells) return held;
  for (const Address cell : cells->items) {
    const auto value = read_word(reading, cell + static_cast<std::uint64_t>(layout.cell.ob_ref.offset));
    if (value && *value != 0) held.emplace_back(*value);
  }
  return held;
}

}  // namespace pythreads::pyframes
