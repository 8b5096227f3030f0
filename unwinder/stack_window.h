// The part of the copied stack around the current frame, so that a step of a walk doesn't cost a virtual read
// for each word: frames are small and lie one after the other.
#pragma once

#include <array>
#include <cstring>

#include "attach/memory.h"

namespace pythreads::unwinder {

class StackWindow {
 public:
  explicit StackWindow(attach::Memory& memory) : memory_(&memory) {}

  attach::Result<std::uint64_t> read_word(attach::Address at) {
    const std::uint64_t inside = at - begin_;
    if (inside < size_ && size_ - inside >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes_.data() + inside, sizeof word);
      return word;
    }
    // From the page's part that begins here: what lies below may not have been copied.
    const std::size_t wanted = page - static_cast<std::size_t>(at.value % page);
    begin_ = at;
    size_ = memory_->read_up_to(at, std::span(bytes_).first(wanted));
    if (size_ >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes_.data(), sizeof word);
      return word;
    }
    size_ = 0;
    return memory_->read_value<std::uint64_t>(at);
  }

  // A word of `size` bytes, 1 to 8, as an expression may ask for.
  attach::Result<std::uint64_t> read_small(attach::Address at, std::size_t size) {
    std::uint64_t word = 0;
    attach::Result<void> done = memory_->read(at, std::as_writable_bytes(std::span(&word, 1)).first(size));
    if (!done) return std::move(done).error();
    return word;
  }

 private:
  static constexpr std::size_t page = 4096;
  attach::Memory* memory_;
  attach::Address begin_;
  std::size_t size_ = 0;
  std::array<std::byte, page> bytes_;
};

}  // namespace pythreads::unwinder
