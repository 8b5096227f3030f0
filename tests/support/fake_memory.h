// A target's memory that a test writes itself. Only what was put there can be read: a reader that looks one
// byte further than it should, fails here as it would at the end of a mapping.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "attach/memory.h"

namespace pythreads::tests {

class FakeMemory : public attach::Memory {
 public:
  template <typename T>
  void put(attach::Address at, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    put_bytes(at, std::as_bytes(std::span(&value, 1)));
  }

  void put_bytes(attach::Address at, std::span<const std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      Page& page = page_at(at.value + i);
      page.bytes[(at.value + i) % page_bytes] = bytes[i];
      page.present.set((at.value + i) % page_bytes);
    }
  }

  // With its terminating zero.
  void put_c_string(attach::Address at, std::string_view text) {
    put_bytes(at, std::as_bytes(std::span(text)));
    put(at + text.size(), '\0');
  }

  // Zeroes, where nothing was put before.
  void map(attach::Range range) {
    for (std::uint64_t at = range.begin.value; at < range.end().value;) {
      if (at % page_bytes == 0 && range.end().value - at >= page_bytes) {
        page_at(at).present.set();
        at += page_bytes;
      } else {
        page_at(at).present.set(at % page_bytes);
        ++at;
      }
    }
  }

  void unmap(attach::Range range) {
    for (std::uint64_t at = range.begin.value; at < range.end().value; ++at) {
      page_at(at).present.reset(at % page_bytes);
    }
  }

  // Calls that read one place, calls that read many, the places of the latter, and the bytes of all.
  std::size_t reads() const { return reads_; }
  std::size_t batches() const { return batches_; }
  std::size_t pieces() const { return pieces_; }
  std::size_t bytes_read() const { return bytes_read_; }
  void reset_counts() { reads_ = batches_ = pieces_ = bytes_read_ = 0; }

  void read_pieces(std::span<attach::Piece> pieces) override {
    ++batches_;
    pieces_ += pieces.size();
    for (attach::Piece& piece : pieces) piece.got = copy(piece.from, piece.into);
  }

 private:
  static constexpr std::uint64_t page_bytes = 4096;
  struct Page {
    std::array<std::byte, page_bytes> bytes{};
    std::bitset<page_bytes> present;
  };

  Page& page_at(std::uint64_t at) {
    std::unique_ptr<Page>& page = pages_[at / page_bytes];
    if (!page) page = std::make_unique<Page>();
    return *page;
  }

  std::size_t read_some(attach::Address from, std::span<std::byte> into) override {
    ++reads_;
    return copy(from, into);
  }

  std::size_t copy(attach::Address from, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done < into.size()) {
      const std::uint64_t at = from.value + done;
      const auto page = pages_.find(at / page_bytes);
      if (page == pages_.end()) break;
      const std::size_t offset = at % page_bytes;
      const std::size_t most = std::min<std::size_t>(page_bytes - offset, into.size() - done);
      std::size_t count = 0;
      if (page->second->present.all()) {
        count = most;
      } else {
        while (count < most && page->second->present.test(offset + count)) ++count;
      }
      std::memcpy(into.data() + done, page->second->bytes.data() + offset, count);
      done += count;
      if (count < most) break;
    }
    bytes_read_ += done;
    return done;
  }

  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages_;
  std::size_t reads_ = 0;
  std::size_t batches_ = 0;
  std::size_t pieces_ = 0;
  std::size_t bytes_read_ = 0;
};

}  // namespace pythreads::tests
