// A `Memory` over another one, that keeps what it read: whole pages where the reads lie dense (objects),
// exact ranges where they lie sparse or are long (stacks). One cache lives as long as one stop, for what it
// holds is true of that stop only.
//
// Why: the readers follow pointers, 25 to 31 pages a thread, and mostly the same ones. One call for many
// pages costs 0.3 µs a page, one call a word costs 0.6 µs a word.
//
// What a first walk asked for (`asked`, of a cache that notes it) can be asked for all at once by the cache
// of the stop: `expect` makes everything ready before, so that to fetch it is little more than the system
// calls. That is done part by part, by `begin`, and ends where the time for it does.
//
// `close` ends it: nothing gets in after that, though a read be on its way in another thread, and a miss is a
// miss. A closed cache is only looked at, and may be by many threads. Before, one thread reads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "attach/memory.h"

namespace pythreads::attach {

class PageCache : public Memory {
 public:
  static constexpr std::uint64_t page_bytes = 4096;

  enum class Notes { none, what_is_asked };

  // `ready_bytes` are made present in our own memory now, so that page faults of ours don't prolong the stop.
  explicit PageCache(std::shared_ptr<Memory> source, std::size_t ready_bytes = 0, Notes notes = Notes::none);
  ~PageCache() override;

  void prefetch(std::span<const Range> ranges) override;

  // What was asked for, and the part that needs it most.
  struct Asked {
    Range range;
    HeldPart part = HeldPart::words;
  };

  // All that was asked for and is there, by address: of each page the span from the first byte to the last,
  // and long ranges as they are. Empty without Notes::what_is_asked.
  std::vector<Asked> asked() const;

  // Told by `asked` as well: what will be asked for at the stop and need not be read before.
  void note_unread(std::span<const Range> ranges, HeldPart part);

  // `ranges` as `asked` gives them, of a cache that holds nothing yet. Our memory for them is made present.
  void expect(std::span<const Asked> asked);

  // What is read of any part but the words must be there by then.
  void must_end_by(std::chrono::steady_clock::time_point end) { end_ = end; }

  // Closes itself when the thread that reads has used so much more of a processor. For a target that runs: a
  // walk through what is being changed meanwhile may go astray in what looks like millions of objects.
  void close_after(std::chrono::nanoseconds work);
  bool is_spent() const { return spent_; }

  // Fetches what is expected of the part, as far as there is time. Native stacks get half of what is left,
  // for the words of threads that have moved are read after them.
  bool begin(HeldPart part) override;
  bool is_given_up(HeldPart part) const { return given_up_[static_cast<std::size_t>(part)]; }
  // What the close came upon, and what had not begun by then: of it not all is there.
  void give_up_the_rest();

  void close();
  bool is_closed() const { return closed_.load(std::memory_order_acquire); }

  // How many bytes from `from` on are kept, `size` at the most.
  std::uint64_t kept(Address from, std::uint64_t size) const;

  // As much as is kept, without asking the source.
  std::size_t read_kept(Address from, std::span<std::byte> into) const;

 private:
  struct Extent {
    std::uint64_t size = 0;
    const std::byte* bytes = nullptr;
    HeldPart part = HeldPart::words;
  };
  // What is kept of a page, and what was asked for: offsets in it.
  struct Slot {
    std::uint64_t key = 0;  // page number + 1; 0: free
    const std::byte* bytes =
        nullptr;  // of the offset `begin`; null: the page is not readable, or not yet read
    std::uint16_t begin = 0, end = 0;
    std::uint16_t asked_begin = page_bytes, asked_end = 0;
    HeldPart part = HeldPart::locals;  // of those that asked, the one that needs it most

    bool is_final() const { return begin == 0 && end == page_bytes; }  // there is no more to be had
    bool covers(std::uint64_t from, std::uint64_t to) const {
      return is_final() || (begin <= from && to <= end);
    }
  };

  std::size_t read_some(Address from, std::span<std::byte> into) override;
  std::span<const std::byte> find(Address at, bool& known_unreadable) const;
  std::size_t place_of(std::uint64_t page) const;
  const Slot* find_page(std::uint64_t page) const;
  Slot& slot_of(std::uint64_t page);
  static bool is_part(const Piece& piece);
  void put_part(const Piece& piece);
  void put_extent(const Piece& piece);
  void put_expected(const Piece& piece);
  void note(Address from, std::uint64_t size);
  std::span<std::byte> allocate(std::size_t size);
  void add_long(Range range, std::vector<Piece>& pieces);
  void fetch(std::span<Piece> pieces, void (PageCache::*put)(const Piece&));
  bool is_late() const;
  void look_at_work();

  std::shared_ptr<Memory> source_;
  Notes notes_;
  std::mutex closing_;
  std::atomic<bool> closed_{false};
  std::vector<Slot> slots_;  // open addressing, a power of two
  std::size_t used_slots_ = 0;
  std::map<std::uint64_t, Extent> extents_;  // by begin, without overlap
  std::vector<Asked> unread_;
  std::array<std::vector<Piece>, held_parts> expected_;
  std::array<bool, held_parts> given_up_{}, begun_{true};
  HeldPart part_ = HeldPart::words;
  std::optional<std::chrono::steady_clock::time_point> end_, stacks_end_;
  std::optional<std::chrono::nanoseconds> work_end_;  // of the processor time of the thread that reads
  std::size_t reads_ = 0;
  bool spent_ = false;
  struct Block;
  std::vector<Block> blocks_;
  std::size_t block_used_ = 0;
  std::size_t kept_bytes_ = 0;
};

}  // namespace pythreads::attach
