// A place in the target. It can't be dereferenced here: an `Address` becomes bytes only through `Memory`, so
// that a pointer of the target is never mistaken for one of ours. 0 is the target's null pointer, a value
// like any other; a read that failed is an `Error`, never an Address of 0.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace pythreads::attach {

struct Address {
  std::uint64_t value = 0;

  constexpr Address() = default;
  constexpr explicit Address(std::uint64_t at) : value(at) {}

  constexpr bool is_null() const { return value == 0; }
  constexpr auto operator<=>(const Address&) const = default;

  // Wraps around like the hardware does: the sum may come from a corrupt target, and reading there fails.
  constexpr Address operator+(std::uint64_t offset) const { return Address(value + offset); }
  constexpr Address operator-(std::uint64_t offset) const { return Address(value - offset); }
  constexpr std::uint64_t operator-(Address other) const { return value - other.value; }
};

// [begin, begin + size)
struct Range {
  Address begin;
  std::uint64_t size = 0;

  constexpr Address end() const { return begin + size; }
  constexpr bool contains(Address at) const { return at.value - begin.value < size; }
  constexpr bool operator==(const Range&) const = default;
};

}  // namespace pythreads::attach

template <>
struct std::hash<pythreads::attach::Address> {
  std::size_t operator()(pythreads::attach::Address at) const noexcept {
    return std::hash<std::uint64_t>{}(at.value);
  }
};
