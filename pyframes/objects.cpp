#include "pyframes/objects.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Result;

// No reader is given a larger limit; a wrong one must not become a large allocation.
constexpr std::size_t most_items = 1 << 20;
constexpr std::size_t most_str_header = 128;  // PyASCIIObject has 40 to 56 bytes

Error corrupt(std::string message) {
  return Error{ErrorCode::corrupt, std::move(message), ""};
}

Error no_field(std::string_view what) {
  return Error{ErrorCode::internal, "the layout doesn't tell where " + std::string(what) + " is", ""};
}

template <typename T>
Result<T> read_field(Memory& memory, Address at, Field<T> field, std::string_view name) {
  if (!field.exists()) return no_field(name);
  return memory.read_value<T>(at + static_cast<std::uint64_t>(field.offset));
}

// A count that the target claims: not negative.
Result<std::uint64_t> read_count(Memory& memory, Address at, SizeField field, std::string_view name) {
  Result<std::int64_t> count = read_field(memory, at, field, name);
  if (!count) return std::move(count).error();
  if (*count < 0) return corrupt("a negative " + std::string(name));
  return static_cast<std::uint64_t>(*count);
}

Result<std::vector<Address>> read_addresses(Memory& memory, Address at, std::size_t count) {
  std::vector<Address> addresses(count);
  static_assert(sizeof(Address) == sizeof(std::uint64_t));
  Result<void> done = memory.read(at, std::as_writable_bytes(std::span(addresses)));
  if (!done) return std::move(done).error();
  return addresses;
}

// Where a str has its characters, and how wide they are.
struct StrData {
  Address data;
  std::uint64_t length = 0;
  std::uint32_t width = 1;
  bool ascii = false;
};

Result<StrData> locate_str(const RuntimeLayout& layout, Memory& memory, Address object) {
  // Read for each key of a dict that is searched while the target stands still: no allocation.
  std::array<std::byte, most_str_header> header;
  if (layout.unicode.size <= 0 || static_cast<std::size_t>(layout.unicode.size) > header.size())
    return no_field("the state of a str");
  std::span<std::byte> used = std::span(header).first(static_cast<std::size_t>(layout.unicode.size));
  Result<void> done = memory.read(object, used);
  if (!done) return std::move(done).error();
  auto word = [&]<typename T>(T& value, std::int32_t offset) {
    if (offset < 0 || static_cast<std::size_t>(offset) + sizeof value > used.size()) return false;
    std::memcpy(&value, used.data() + offset, sizeof value);
    return true;
  };
  auto bits = [&](BitField field) -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    if (!word(value, field.offset) || field.bits == 0 || field.shift + field.bits > 31) return std::nullopt;
    return value >> field.shift & ((1U << field.bits) - 1);
  };
  std::int64_t length = 0;
  std::optional<std::uint32_t> kind = bits(layout.unicode.kind);
  std::optional<std::uint32_t> compact = bits(layout.unicode.compact);
  std::optional<std::uint32_t> ascii = bits(layout.unicode.ascii);
  if (!word(length, layout.unicode.length.offset) || !kind || !compact || !ascii)
    return no_field("the state of a str");
  if (length < 0) return corrupt("a str of negative length");
  if (*kind != 1 && *kind != 2 && *kind != 4) return corrupt("a str of an unknown kind");

  StrData found;
  found.length = static_cast<std::uint64_t>(length);
  found.width = *kind;
  found.ascii = *ascii != 0;
  if (*compact == 0) {
    Result<std::uint64_t> data =
        read_field(memory, object, layout.legacy_unicode.data, "PyUnicodeObject.data");
    if (!data) return std::move(data).error();
    found.data = Address(*data);
  } else {
    std::int32_t header_size = found.ascii ? layout.unicode.size : layout.compact_unicode.size;
    found.data = object + static_cast<std::uint64_t>(header_size);
  }
  return found;
}

}  // namespace

Result<StrValue> read_str(const RuntimeLayout& layout, Memory& memory, Address object, std::size_t limit) {
  Result<StrData> where = locate_str(layout, memory, object);
  if (!where) return std::move(where).error();
  StrValue value;
  value.length = where->length;
  std::size_t count =
      static_cast<std::size_t>(std::min<std::uint64_t>(where->length, std::min(limit, most_items)));
  value.cut = count < where->length;
  std::vector<std::byte> data(count * where->width);
  Result<void> done = memory.read(where->data, data);
  if (!done) return std::move(done).error();

  value.text.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t code_point = 0;
    std::memcpy(&code_point, data.data() + i * where->width, where->width);
    append_code_point(value.text, code_point);
  }
  return value;
}

Result<bool> str_equals(const RuntimeLayout& layout, Memory& memory, Address object, std::string_view ascii) {
  Result<StrData> where = locate_str(layout, memory, object);
  if (!where) return std::move(where).error();
  if (where->width != 1 || where->length != ascii.size()) return false;
  std::string data(ascii.size(), '\0');
  Result<void> done = memory.read(where->data, std::as_writable_bytes(std::span(data)));
  if (!done) return std::move(done).error();
  return data == ascii;
}

Result<BytesValue> read_bytes(const RuntimeLayout& layout, Memory& memory, Address object,
                              std::size_t limit) {
  Result<std::uint64_t> length = read_count(memory, object, layout.bytes.ob_size, "length of bytes");
  if (!length) return std::move(length).error();
  if (!layout.bytes.ob_sval.exists()) return no_field("bytes.ob_sval");
  BytesValue value;
  value.length = *length;
  value.bytes.resize(static_cast<std::size_t>(std::min<std::uint64_t>(*length, std::min(limit, most_items))));
  value.cut = value.bytes.size() < *length;
  Result<void> done = memory.read(object + static_cast<std::uint64_t>(layout.bytes.ob_sval.offset),
                                  std::as_writable_bytes(std::span(value.bytes)));
  if (!done) return std::move(done).error();
  return value;
}

Result<IntValue> read_int(const RuntimeLayout& layout, Memory& memory, Address object, std::size_t limit) {
  IntValue value;
  if (layout.integer.lv_tag.exists()) {
    // Bits 0 and 1: the sign (0 positive, 1 zero, 2 negative); from bit 3 on the number of digits.
    Result<std::uint64_t> tag = read_field(memory, object, layout.integer.lv_tag, "int.lv_tag");
    if (!tag) return std::move(tag).error();
    value.length = *tag >> 3;
    value.negative = (*tag & 3) == 2;
    if ((*tag & 3) == 1) value.length = 0;
  } else {
    Result<std::int64_t> size = read_field(memory, object, layout.integer.ob_size, "int.ob_size");
    if (!size) return std::move(size).error();
    value.negative = *size < 0;
    value.length = value.negative ? 0 - static_cast<std::uint64_t>(*size) : static_cast<std::uint64_t>(*size);
  }
  if (!layout.integer.ob_digit.exists()) return no_field("int.ob_digit");
  std::size_t count =
      static_cast<std::size_t>(std::min<std::uint64_t>(value.length, std::min(limit, most_items)));
  value.cut = count < value.length;
  value.digits.resize(count);
  Result<void> done = memory.read(object + static_cast<std::uint64_t>(layout.integer.ob_digit.offset),
                                  std::as_writable_bytes(std::span(value.digits)));
  if (!done) return std::move(done).error();
  constexpr std::uint32_t base = 1U << 30;
  if (std::any_of(value.digits.begin(), value.digits.end(), [](std::uint32_t d) { return d >= base; }))
    return corrupt("an int with an impossible digit");
  return value;
}

std::optional<std::uint64_t> IntValue::as_uint64() const {
  if (negative || cut || digits.size() > 3 || (digits.size() == 3 && digits[2] > 15)) return std::nullopt;
  std::uint64_t sum = 0;
  for (std::size_t i = digits.size(); i-- > 0;) sum = sum << 30 | digits[i];
  return sum;
}

std::optional<std::int64_t> IntValue::as_int64() const {
  IntValue positive = *this;
  positive.negative = false;
  std::optional<std::uint64_t> size = positive.as_uint64();
  constexpr std::uint64_t largest = 0x7fff'ffff'ffff'ffff;
  if (!size || *size > largest + (negative ? 1 : 0)) return std::nullopt;
  return negative ? static_cast<std::int64_t>(0 - *size) : static_cast<std::int64_t>(*size);
}

Result<double> read_float(const RuntimeLayout& layout, Memory& memory, Address object) {
  return read_field(memory, object, layout.floating.ob_fval, "float.ob_fval");
}

Result<Items> read_tuple(const RuntimeLayout& layout, Memory& memory, Address object, std::size_t limit) {
  Result<std::uint64_t> length = read_count(memory, object, layout.tuple.ob_size, "length of a tuple");
  if (!length) return std::move(length).error();
  if (!layout.tuple.ob_item.exists()) return no_field("tuple.ob_item");
  std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(*length, std::min(limit, most_items)));
  Result<std::vector<Address>> items =
      read_addresses(memory, object + static_cast<std::uint64_t>(layout.tuple.ob_item.offset), count);
  if (!items) return std::move(items).error();
  return Items{*std::move(items), *length, count < *length};
}

Result<Items> read_list(const RuntimeLayout& layout, Memory& memory, Address object, std::size_t limit) {
  Result<std::uint64_t> length = read_count(memory, object, layout.list.ob_size, "length of a list");
  if (!length) return std::move(length).error();
  Result<std::uint64_t> array = read_field(memory, object, layout.list.ob_item, "list.ob_item");
  if (!array) return std::move(array).error();
  std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(*length, std::min(limit, most_items)));
  Result<std::vector<Address>> items = read_addresses(memory, Address(*array), count);
  if (!items) return std::move(items).error();
  return Items{*std::move(items), *length, count < *length};
}

Result<Items> read_set(const RuntimeLayout& layout, Memory& memory, Address object, std::size_t limit) {
  Result<std::uint64_t> used = read_count(memory, object, layout.set.used, "length of a set");
  if (!used) return std::move(used).error();
  Result<std::uint64_t> mask = read_count(memory, object, layout.set.mask, "mask of a set");
  if (!mask) return std::move(mask).error();
  Result<std::uint64_t> table = read_field(memory, object, layout.set.table, "set.table");
  if (!table) return std::move(table).error();

  // setentry {key, hash}; an empty slot has no key, a deleted one the key `dummy` with the hash -1, which no
  // object has (Objects/setobject.c).
  struct Slot {
    std::uint64_t key;
    std::int64_t hash;
  };
  constexpr std::uint64_t batch = 256;
  Items found;
  found.length = *used;
  std::uint64_t slots = std::min<std::uint64_t>(*mask + 1, most_items);
  std::vector<Slot> read;
  for (std::uint64_t at = 0; at < slots && found.items.size() < found.length; at += batch) {
    read.resize(static_cast<std::size_t>(std::min(batch, slots - at)));
    Result<void> done =
        memory.read(Address(*table) + at * sizeof(Slot), std::as_writable_bytes(std::span(read)));
    if (!done) return std::move(done).error();
    for (const Slot& slot : read) {
      if (slot.key == 0 || slot.hash == -1) continue;
      if (found.items.size() >= limit || found.items.size() >= found.length) break;
      found.items.emplace_back(slot.key);
    }
    if (found.items.size() >= limit) break;
  }
  found.cut = found.items.size() < found.length;
  return found;
}

}  // namespace pythreads::pyframes
