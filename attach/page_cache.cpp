#include "attach/page_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

namespace pythreads::attach {
namespace {

constexpr std::size_t block_bytes = 1024 * 1024;
// From this size on a range is kept as it is, whatever pages it covers.
constexpr std::uint64_t long_range = 4 * PageCache::page_bytes;
// A page of which less than this is wanted, in one place and for the first time, is not read whole.
constexpr std::uint64_t sparse_bytes = 1024;
// Nothing in a target that is wanted at once is longer; a length that is, was read from garbage.
constexpr std::uint64_t max_range = 64ull * 1024 * 1024;
// All that one stop may keep. What is asked for beyond it is a miss.
constexpr std::size_t max_kept = 512ull * 1024 * 1024;
// Made present together with what is expected, for what was not.
constexpr std::size_t spare_bytes = 256 * 1024;
// Of expected pieces so many are fetched before the time is looked at: about a millisecond's.
constexpr std::size_t wave_pieces = 1024;
// Reads out of what is kept between two looks at the work done: some tens of microseconds.
constexpr std::size_t reads_at_once = 512;

std::uint64_t page_of(std::uint64_t at) {
  return at / PageCache::page_bytes;
}

// Whether a range may be one of a process's memory. A pointer out of garbage may lead anywhere, and beyond
// the last page of the address space the next page is the first again.
bool may_be_mapped(const Range& range) {
  constexpr std::uint64_t end_of_user_space = std::uint64_t{1} << 63;  // of any process, on any machine
  return range.size > 0 && range.size <= max_range && range.begin.value < end_of_user_space - max_range;
}

std::chrono::nanoseconds work_of_this_thread() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

// Our own pages, not from the heap: made present by the kernel at once where that is asked for.
struct PageCache::Block {
  std::byte* bytes = nullptr;
  std::size_t size = 0;

  Block(std::size_t wanted, bool present) {
    void* got = ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | (present ? MAP_POPULATE : 0), -1, 0);
    if (got == MAP_FAILED) return;
    bytes = static_cast<std::byte*>(got);
    size = wanted;
  }
  ~Block() {
    if (bytes != nullptr) ::munmap(bytes, size);
  }
  Block(Block&& other) noexcept
      : bytes(std::exchange(other.bytes, nullptr)), size(std::exchange(other.size, 0)) {}
  Block& operator=(Block&&) = delete;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
};

PageCache::PageCache(std::shared_ptr<Memory> source, std::size_t ready_bytes, Notes notes)
    : source_(std::move(source)), notes_(notes), slots_(1024) {
  if (ready_bytes > 0) blocks_.emplace_back((ready_bytes + page_bytes - 1) / page_bytes * page_bytes, true);
}

PageCache::~PageCache() = default;

void PageCache::close() {
  const std::lock_guard lock(closing_);
  closed_.store(true, std::memory_order_release);
}

void PageCache::close_after(std::chrono::nanoseconds work) {
  work_end_ = work_of_this_thread() + work;
}

void PageCache::look_at_work() {
  if (!work_end_ || spent_ || work_of_this_thread() < *work_end_) return;
  spent_ = true;
  close();
}

// Empty when there is no more of our own memory to be had.
std::span<std::byte> PageCache::allocate(std::size_t size) {
  size = (size + 15) / 16 * 16;
  if (kept_bytes_ + size > max_kept) return {};
  if (blocks_.empty() || blocks_.back().size - block_used_ < size) {
    blocks_.emplace_back(
        std::max<std::size_t>((size + page_bytes - 1) / page_bytes * page_bytes, block_bytes), false);
    block_used_ = 0;
    if (blocks_.back().bytes == nullptr) {
      blocks_.pop_back();
      block_used_ = blocks_.empty() ? 0 : blocks_.back().size;
      return {};
    }
  }
  const std::span<std::byte> bytes(blocks_.back().bytes + block_used_, size);
  block_used_ += size;
  kept_bytes_ += size;
  return bytes;
}

// Where the page's slot is, or would be: a free one.
std::size_t PageCache::place_of(std::uint64_t page) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(page * 0x9e3779b97f4a7c15ull >> 20) & mask;
  while (slots_[at].key != 0 && slots_[at].key != page + 1) at = (at + 1) & mask;
  return at;
}

const PageCache::Slot* PageCache::find_page(std::uint64_t page) const {
  const Slot& slot = slots_[place_of(page)];
  return slot.key == 0 ? nullptr : &slot;
}

PageCache::Slot& PageCache::slot_of(std::uint64_t page) {
  if ((used_slots_ + 1) * 2 > slots_.size()) {
    std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    used_slots_ = 0;
    for (const Slot& slot : before) {
      if (slot.key != 0) slot_of(slot.key - 1) = slot;
    }
  }
  Slot& slot = slots_[place_of(page)];
  if (slot.key == 0) {
    slot.key = page + 1;
    ++used_slots_;
  }
  return slot;
}

// A range that crosses no page's end is a part of its page.
bool PageCache::is_part(const Piece& piece) {
  return page_of(piece.from.value) == page_of(piece.from.value + piece.into.size() - 1);
}

void PageCache::put_part(const Piece& piece) {
  const std::uint64_t page = page_of(piece.from.value);
  Slot& slot = slot_of(page);
  if (slot.is_final()) return;
  const bool whole = piece.got == piece.into.size();
  const std::uint64_t begin = whole ? piece.from.value - page * page_bytes : 0;
  const std::uint64_t end = whole ? begin + piece.got : page_bytes;
  slot.bytes = whole ? piece.into.data() : nullptr;
  slot.begin = static_cast<std::uint16_t>(begin);
  slot.end = static_cast<std::uint16_t>(end);
}

// It does not overlap with another one: the requests were made so.
void PageCache::put_extent(const Piece& piece) {
  if (piece.got > 0) extents_.emplace(piece.from.value, Extent{piece.got, piece.into.data(), part_});
}

void PageCache::put_expected(const Piece& piece) {
  is_part(piece) ? put_part(piece) : put_extent(piece);
}

void PageCache::note(Address from, std::uint64_t size) {
  if (notes_ == Notes::none || !may_be_mapped({from, size})) return;
  const std::uint64_t end = from.value + size;
  for (std::uint64_t at = from.value; at < end;) {
    const std::uint64_t first = page_of(at) * page_bytes;
    const std::uint64_t stop = std::min(end, first + page_bytes);
    if (Slot& slot = slots_[place_of(page_of(at))]; slot.key != 0) {
      slot.asked_begin = static_cast<std::uint16_t>(std::min<std::uint64_t>(slot.asked_begin, at - first));
      slot.asked_end = static_cast<std::uint16_t>(std::max<std::uint64_t>(slot.asked_end, stop - first));
      slot.part = std::min(slot.part, part_);
    }
    at = stop;
  }
}

void PageCache::note_unread(std::span<const Range> ranges, HeldPart part) {
  for (const Range& range : ranges) {
    if (!may_be_mapped(range)) continue;
    if (range.size >= long_range) {
      unread_.push_back({range, part});
      continue;
    }
    for (std::uint64_t at = range.begin.value; at < range.end().value;) {
      const std::uint64_t stop = std::min(range.end().value, (page_of(at) + 1) * page_bytes);
      unread_.push_back({{Address(at), stop - at}, part});
      at = stop;
    }
  }
}

std::vector<PageCache::Asked> PageCache::asked() const {
  std::vector<Asked> ranges;
  if (notes_ == Notes::none) return ranges;
  ranges.reserve(used_slots_ + extents_.size() + unread_.size());
  ranges = unread_;
  for (const Slot& slot : slots_) {
    if (slot.bytes == nullptr || slot.asked_begin >= slot.asked_end) continue;
    ranges.push_back({{Address((slot.key - 1) * page_bytes + slot.asked_begin),
                       std::uint64_t{slot.asked_end} - slot.asked_begin},
                      slot.part});
  }
  for (const auto& [begin, extent] : extents_) ranges.push_back({{Address(begin), extent.size}, extent.part});
  std::sort(ranges.begin(), ranges.end(),
            [](const Asked& a, const Asked& b) { return a.range.begin < b.range.begin; });
  return ranges;
}

void PageCache::expect(std::span<const Asked> asked) {
  std::vector<Asked> merged;  // one of each page: what lies in it once is kept in one place
  merged.reserve(asked.size());
  std::size_t bytes = 0;
  for (const Asked& next : asked) {
    if (next.range.size == 0) continue;
    if (!merged.empty() && page_of(merged.back().range.begin.value) == page_of(next.range.end().value - 1)) {
      Range& range = merged.back().range;
      range.size = std::max(range.end().value, next.range.end().value) - range.begin.value;
      merged.back().part = std::min(merged.back().part, next.part);
    } else {
      merged.push_back(next);
    }
  }
  for (const Asked& each : merged) bytes += static_cast<std::size_t>((each.range.size + 15) / 16 * 16);
  if (kept_bytes_ + bytes > max_kept) return;
  const std::size_t ready = bytes + bytes / 8 + spare_bytes;
  blocks_.emplace_back((ready + page_bytes - 1) / page_bytes * page_bytes, true);
  block_used_ = 0;
  if (blocks_.back().bytes == nullptr) {
    blocks_.pop_back();
    block_used_ = blocks_.empty() ? 0 : blocks_.back().size;
    return;
  }
  for (const Asked& each : merged) {
    const std::span<std::byte> into = allocate(static_cast<std::size_t>(each.range.size));
    if (into.empty()) break;
    std::vector<Piece>& expected = expected_[static_cast<std::size_t>(each.part)];
    expected.push_back(Piece{each.range.begin, into.first(static_cast<std::size_t>(each.range.size))});
    if (is_part(expected.back())) slot_of(page_of(each.range.begin.value));
  }
}

// Whether there is no more time for the part that has begun.
bool PageCache::is_late() const {
  if (part_ == HeldPart::words || !end_) return false;
  return std::chrono::steady_clock::now() >= (part_ == HeldPart::stacks ? *stacks_end_ : *end_);
}

void PageCache::give_up_the_rest() {
  for (std::size_t part = 1; part < held_parts; ++part) {
    if (!begun_[part] || part == static_cast<std::size_t>(part_)) given_up_[part] = true;
  }
}

bool PageCache::begin(HeldPart part) {
  const std::size_t index = static_cast<std::size_t>(part);
  if (is_closed() || given_up_[index]) return !given_up_[index];
  part_ = part;
  begun_[index] = true;
  if (part == HeldPart::stacks && end_ && !stacks_end_) {
    const auto now = std::chrono::steady_clock::now();
    stacks_end_ = now + (*end_ - now) / 2;
  }
  const std::span<Piece> pieces(expected_[index]);
  for (std::size_t done = 0; !(given_up_[index] = is_late()) && done < pieces.size(); done += wave_pieces) {
    fetch(pieces.subspan(done, std::min(wave_pieces, pieces.size() - done)), &PageCache::put_expected);
  }
  expected_[index].clear();
  return !given_up_[index];
}

// What is kept from `at` on, in one piece; it may go on after its end.
std::span<const std::byte> PageCache::find(Address at, bool& known_unreadable) const {
  known_unreadable = false;
  const Slot* slot = find_page(page_of(at.value));
  if (slot != nullptr && slot->bytes != nullptr) {
    const std::size_t offset = static_cast<std::size_t>(at.value % page_bytes);
    if (offset >= slot->begin && offset < slot->end)
      return {slot->bytes + (offset - slot->begin), static_cast<std::size_t>(slot->end - offset)};
  }
  auto next = extents_.upper_bound(at.value);
  if (next != extents_.begin()) {
    const auto& [begin, extent] = *std::prev(next);
    const std::uint64_t offset = at.value - begin;
    if (offset < extent.size) {
      return {extent.bytes + offset, static_cast<std::size_t>(extent.size - offset)};
    }
  }
  known_unreadable = slot != nullptr && slot->bytes == nullptr && slot->is_final();
  return {};
}

std::size_t PageCache::read_kept(Address from, std::span<std::byte> into) const {
  std::size_t done = 0;
  bool unreadable = false;
  while (done < into.size()) {
    const std::span<const std::byte> bytes = find(from + done, unreadable);
    if (bytes.empty()) break;
    const std::size_t count = std::min(bytes.size(), into.size() - done);
    std::memcpy(into.data() + done, bytes.data(), count);
    done += count;
  }
  return done;
}

std::uint64_t PageCache::kept(Address from, std::uint64_t size) const {
  std::uint64_t done = 0;
  bool unreadable = false;
  while (done < size) {
    const std::span<const std::byte> bytes = find(from + done, unreadable);
    if (bytes.empty()) break;
    done += bytes.size();
  }
  return std::min(done, size);
}

std::size_t PageCache::read_some(Address from, std::span<std::byte> into) {
  if (work_end_ && ++reads_ % reads_at_once == 0) look_at_work();
  if (spent_) return 0;
  std::size_t done = read_kept(from, into);
  while (done < into.size() && !is_closed()) {
    const Address at = from + done;
    bool unreadable = false;
    find(at, unreadable);
    if (unreadable) break;
    std::vector<Piece> pieces;
    const std::uint64_t first = page_of(at.value);
    if (!may_be_mapped({at, 1})) break;
    const std::uint64_t last = page_of(at.value + (into.size() - done - 1));
    for (std::uint64_t page = first; page <= last && page - first < 256; ++page) {
      const Slot* slot = find_page(page);
      if (slot != nullptr && slot->is_final()) continue;
      const std::span<std::byte> bytes = allocate(page_bytes);
      if (bytes.empty()) break;
      pieces.push_back(Piece{Address(page * page_bytes), bytes});
    }
    fetch(pieces, &PageCache::put_part);
    const std::size_t more = read_kept(at, into.subspan(done));
    if (more == 0) break;
    done += more;
  }
  note(from, done);
  return done;
}

// Reads the pieces and keeps them unless the cache was closed meanwhile: then nobody knows what the target
// had done between.
void PageCache::fetch(std::span<Piece> pieces, void (PageCache::*put)(const Piece&)) {
  if (pieces.empty()) return;
  look_at_work();
  if (is_closed()) return;
  source_->read_pieces(pieces);
  const std::lock_guard lock(closing_);
  if (is_closed()) return;
  for (const Piece& piece : pieces) (this->*put)(piece);
}

// The parts of a long range that no extent holds yet.
void PageCache::add_long(Range range, std::vector<Piece>& pieces) {
  std::uint64_t at = range.begin.value;
  const std::uint64_t end = range.end().value;
  auto extent = extents_.upper_bound(at);
  if (extent != extents_.begin()) {
    const auto& [begin, before] = *std::prev(extent);
    at = std::max(at, begin + before.size);
  }
  while (at < end) {
    const std::uint64_t stop = extent == extents_.end() ? end : std::min(end, extent->first);
    if (at < stop) {
      const std::span<std::byte> bytes = allocate(static_cast<std::size_t>(stop - at));
      if (bytes.empty()) return;
      pieces.push_back(Piece{Address(at), bytes.first(static_cast<std::size_t>(stop - at))});
    }
    if (extent == extents_.end()) break;
    at = std::max(at, extent->first + extent->second.size);
    ++extent;
  }
}

void PageCache::prefetch(std::span<const Range> ranges) {
  if (is_closed()) return;
  struct Part {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  std::vector<Range> long_ranges;
  std::vector<Part> parts;  // none crosses the end of a page
  for (const Range& range : ranges) {
    if (!may_be_mapped(range)) continue;
    if (range.size >= long_range) {
      long_ranges.push_back(range);
      continue;
    }
    std::uint64_t at = range.begin.value;
    while (at < range.end().value) {
      const std::uint64_t stop = std::min(range.end().value, (page_of(at) + 1) * page_bytes);
      // Most of what is asked for is there already: not worth sorting.
      const Slot* slot = find_page(page_of(at));
      const std::uint64_t offset = at % page_bytes;
      if (slot == nullptr || !slot->covers(offset, offset + (stop - at))) parts.push_back(Part{at, stop});
      at = stop;
    }
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });

  std::vector<Piece> pieces;
  bool unreadable = false;
  for (std::size_t i = 0; i < parts.size();) {
    const std::uint64_t page = page_of(parts[i].begin);
    // One span of what overlaps or touches; a second one in the same page makes it dense.
    Part span = parts[i];
    const Slot* slot = find_page(page);
    bool dense = slot != nullptr && slot->bytes != nullptr;
    std::size_t next = i + 1;
    for (; next < parts.size() && page_of(parts[next].begin) == page; ++next) {
      if (parts[next].begin > span.end) dense = true;
      span.end = std::max(span.end, parts[next].end);
    }
    i = next;
    if (find(Address(span.begin), unreadable).size() >= span.end - span.begin || unreadable) continue;
    if (dense || span.end - span.begin >= sparse_bytes) span = {page * page_bytes, (page + 1) * page_bytes};
    const std::size_t size = static_cast<std::size_t>(span.end - span.begin);
    const std::span<std::byte> bytes = allocate(size);
    if (bytes.empty()) break;
    pieces.push_back(Piece{Address(span.begin), bytes.first(size)});
  }
  fetch(pieces, &PageCache::put_part);
  if (notes_ != Notes::none) {
    for (const Range& range : ranges) note(range.begin, range.size);
  }

  if (long_ranges.empty()) return;
  std::sort(long_ranges.begin(), long_ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> merged;
  for (const Range& range : long_ranges) {
    if (!merged.empty() && range.begin <= merged.back().end()) {
      const std::uint64_t end = std::max(merged.back().end().value, range.end().value);
      merged.back().size = end - merged.back().begin.value;
    } else {
      merged.push_back(range);
    }
  }
  pieces.clear();
  for (const Range& range : merged) add_long(range, pieces);
  fetch(pieces, &PageCache::put_extent);
}

}  // namespace pythreads::attach
