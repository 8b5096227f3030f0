// A cursor over bytes that came from the target: reads past the end give zero and set `failed`, which is
// asked once at the end instead of after every field. `base` is the target's address of the first byte, for
// encodings that are relative to where they stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "attach/address.h"

namespace pythreads::unwinder {

class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, attach::Address base) : bytes_(bytes), base_(base) {}

  bool failed() const { return failed_; }
  bool at_end() const { return failed_ || at_ >= bytes_.size(); }
  std::size_t position() const { return at_; }
  attach::Address address() const { return base_ + at_; }

  template <typename T>
  T read() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (failed_ || bytes_.size() - at_ < sizeof value) {
      failed_ = true;
      return value;
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  void skip(std::uint64_t count) {
    if (failed_ || bytes_.size() - at_ < count) {
      failed_ = true;
      return;
    }
    at_ += static_cast<std::size_t>(count);
  }

  std::uint64_t read_uleb128() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = read<std::uint8_t>();
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
      if ((byte & 0x80u) == 0) return value;
    }
    failed_ = true;
    return 0;
  }

  std::int64_t read_sleb128() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = read<std::uint8_t>();
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7fu) << shift;
      if ((byte & 0x80u) == 0) {
        if (shift + 7 < 64 && (byte & 0x40u) != 0) value |= ~std::uint64_t{0} << (shift + 7);
        return static_cast<std::int64_t>(value);
      }
    }
    failed_ = true;
    return 0;
  }

 private:
  std::span<const std::byte> bytes_;
  attach::Address base_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace pythreads::unwinder
