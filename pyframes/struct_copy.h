// One struct of the target, copied at once and then asked by `Field<T>`: one read a struct instead of one a
// field, and no field that was read a moment later than its neighbour.
//
// A field that the layout doesn't have, or that lies outside of what was copied, answers none: absent is not
// zero. Whether a version has a field is asked of the layout (`field.exists()`).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/result.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

class StructCopy {
 public:
  // No struct of CPython that is read whole is larger (PyInterpreterState of 3.13 is 270 KB and is read in
  // parts: `size` is how much of its beginning the layout needs).
  static constexpr std::size_t max_size = 1 << 20;

  StructCopy() = default;
  StructCopy(attach::Address at, std::vector<std::byte> bytes) : at_(at), bytes_(std::move(bytes)) {}

  // ErrorCode::corrupt for a size that no layout has, ErrorCode::unreadable as Memory says.
  static attach::Result<StructCopy> read(attach::Memory& memory, attach::Address at, std::int64_t size) {
    if (size <= 0 || static_cast<std::uint64_t>(size) > max_size)
      return attach::Error{attach::ErrorCode::corrupt, "a struct without a known size", ""};
    std::vector<std::byte> bytes(static_cast<std::size_t>(size));
    attach::Result<void> done = memory.read(at, bytes);
    if (!done) return std::move(done).error();
    return StructCopy(at, std::move(bytes));
  }

  // The same of a struct of which only `parts` matter; what lies between them is not read, and 0.
  static attach::Result<StructCopy> read_parts(attach::Memory& memory, attach::Address at,
                                               const std::vector<attach::Range>& parts) {
    std::uint64_t size = 0;
    for (const attach::Range& part : parts) {
      if (part.begin < at || part.begin - at >= max_size || part.size > max_size - (part.begin - at))
        return attach::Error{attach::ErrorCode::corrupt, "a struct whose parts lie too far apart", ""};
      size = std::max(size, part.begin - at + part.size);
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(size));
    memory.prefetch(parts);
    for (const attach::Range& part : parts) {
      const auto offset = static_cast<std::size_t>(part.begin - at);
      attach::Result<void> done =
          memory.read(part.begin, std::span(bytes).subspan(offset, static_cast<std::size_t>(part.size)));
      if (!done) return std::move(done).error();
    }
    return StructCopy(at, std::move(bytes));
  }

  attach::Address at() const { return at_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  template <typename T>
  std::optional<T> get(Field<T> field) const {
    if (!field.exists()) return std::nullopt;
    return get_at<T>(static_cast<std::size_t>(field.offset));
  }

  std::optional<attach::Address> pointer(PointerField field) const {
    std::optional<std::uint64_t> value = get(field);
    if (!value) return std::nullopt;
    return attach::Address(*value);
  }

  std::optional<std::uint32_t> bits(BitField field) const {
    if (!field.exists() || field.bits == 0 || field.shift + field.bits > 32) return std::nullopt;
    std::optional<std::uint32_t> word = get_at<std::uint32_t>(static_cast<std::size_t>(field.offset));
    if (!word) return std::nullopt;
    std::uint32_t mask = field.bits == 32 ? ~0U : (1U << field.bits) - 1U;
    return (*word >> field.shift) & mask;
  }

 private:
  template <typename T>
  std::optional<T> get_at(std::size_t offset) const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }

  attach::Address at_;
  std::vector<std::byte> bytes_;
};

}  // namespace pythreads::pyframes
