// An input as the target's memory: its bytes from one address on, and nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "attach/memory.h"

namespace pythreads::tests {

class ByteMemory : public attach::Memory {
 public:
  ByteMemory(attach::Address begin, std::span<const std::uint8_t> bytes) : begin_(begin), bytes_(bytes) {}

  attach::Range range() const { return {begin_, bytes_.size()}; }

 private:
  std::size_t read_some(attach::Address from, std::span<std::byte> into) override {
    const std::uint64_t at = from - begin_;
    if (at >= bytes_.size()) return 0;
    const std::size_t count = std::min(into.size(), bytes_.size() - static_cast<std::size_t>(at));
    std::memcpy(into.data(), bytes_.data() + at, count);
    return count;
  }

  attach::Address begin_;
  std::span<const std::uint8_t> bytes_;
};

}  // namespace pythreads::tests
