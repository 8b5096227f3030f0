// A sound CPython heap, and an input that edits it: what a hostile target would have written over it, eight
// bytes at a time. The heap is built once for each layout, so that an input is a few bytes and not an image
// of megabytes, and a change of the heap needs no new corpus.
//
// An edit is the number of a word of the heap (two bytes), what to put there (one byte), and for some kinds a
// number (two or eight bytes).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <unordered_map>

#include "attach/memory.h"
#include "tests/fuzz/input.h"

namespace pythreads::tests {

class EditedHeap : public attach::Memory {
 public:
  // All of the sound heap's objects stand within `words` words of `begin`.
  EditedHeap(attach::Memory& sound, attach::Address begin, std::uint64_t words)
      : sound_(sound), begin_(begin), words_(std::max<std::uint64_t>(words, 1)) {}

  void edit(Input& input) {
    for (int edits = 0; edits < 1000 && !input.is_empty(); ++edits) {
      const attach::Address at = place(input.take<std::uint16_t>());
      const auto kind = input.take<std::uint8_t>();
      switch (kind % 8) {
        case 0:
          edits_[at.value] = input.take<std::uint64_t>();
          break;
        case 1:  // a pointer into the heap: objects of another type, cycles
          edits_[at.value] = place(input.take<std::uint16_t>()).value;
          break;
        case 2:
          edits_[at.value] = at.value;
          break;
        case 3:
          edits_[at.value] = std::uint64_t{1} << (kind / 8 * 2 + 1);
          break;
        case 4:
          edits_[at.value] = ~std::uint64_t{0} >> (kind / 8);
          break;
        case 5:  // a small number
          edits_[at.value] = kind / 8;
          break;
        case 6:  // a tagged pointer
          edits_[at.value] = place(input.take<std::uint16_t>()).value | kind / 8;
          break;
        default:  // what a field beside it says
          edits_[at.value] = input.take<std::uint16_t>() * std::uint64_t{0x0001'0001'0001'0001};
          break;
      }
    }
  }

 private:
  attach::Address place(std::uint64_t number) const { return begin_ + number % words_ * 8; }

  std::size_t read_some(attach::Address from, std::span<std::byte> into) override {
    const std::size_t done = sound_.read_up_to(from, into);
    if (edits_.empty()) return done;
    for (std::size_t offset = 0; offset < done;) {
      const std::uint64_t at = from.value + offset, inside = at % 8;
      const std::size_t count = std::min<std::size_t>(8 - inside, done - offset);
      const auto edit = edits_.find(at - inside);
      for (std::size_t i = 0; edit != edits_.end() && i < count; ++i)
        into[offset + i] = static_cast<std::byte>(edit->second >> 8 * (inside + i));
      offset += count;
    }
    return done;
  }

  attach::Memory& sound_;
  attach::Address begin_;
  std::uint64_t words_;
  std::unordered_map<std::uint64_t, std::uint64_t> edits_;
};

}  // namespace pythreads::tests
