#include "attach/frozen_memory.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pythreads::attach {

FrozenMemory::FrozenMemory(std::shared_ptr<PageCache> pages, std::shared_ptr<Memory> behind)
    : pages_(std::move(pages)), behind_(std::move(behind)) {}

std::size_t FrozenMemory::read_some(Address from, std::span<std::byte> into) {
  if (!pages_->is_closed() || !behind_) return pages_->read_up_to(from, into);
  std::size_t done = pages_->read_kept(from, into);
  // What lies behind is asked for as far as the next page; the pages of the stop come first again there.
  while (done < into.size()) {
    const Address at = from + done;
    const std::size_t to_page_end =
        static_cast<std::size_t>(PageCache::page_bytes - at.value % PageCache::page_bytes);
    const std::size_t wanted = std::min(into.size() - done, to_page_end);
    const std::size_t got = behind_->read_up_to(at, into.subspan(done, wanted));
    done += got;
    if (got < wanted) break;
    if (done < into.size()) done += pages_->read_kept(from + done, into.subspan(done));
  }
  return done;
}

void FrozenMemory::prefetch(std::span<const Range> ranges) {
  if (!pages_->is_closed()) {
    pages_->prefetch(ranges);
    return;
  }
  if (!behind_) return;
  std::vector<Range> missing;
  for (const Range& range : ranges) {
    if (pages_->kept(range.begin, range.size) < range.size) missing.push_back(range);
  }
  behind_->prefetch(missing);
}

bool FrozenMemory::begin(HeldPart part) {
  return pages_->begin(part);
}

}  // namespace pythreads::attach
