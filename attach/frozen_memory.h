// What a stop left behind: the pages that its readers fetched. Made while the target is held (then a miss is
// fetched), it freezes when the cache is closed at the release: from there on a miss is an error, because the
// target runs and what is read now would not fit to what was read then.
//
// With a second memory behind, a miss is read from there: the living target, for what doesn't change while it
// exists (code objects, their names and tables, types). Whoever reads so checks what he found.
#pragma once

#include <memory>

#include "attach/memory.h"
#include "attach/page_cache.h"

namespace pythreads::attach {

class FrozenMemory : public Memory {
 public:
  // `behind` may be null.
  explicit FrozenMemory(std::shared_ptr<PageCache> pages, std::shared_ptr<Memory> behind = nullptr);

  void prefetch(std::span<const Range> ranges) override;
  bool begin(HeldPart part) override;

 private:
  std::size_t read_some(Address from, std::span<std::byte> into) override;

  std::shared_ptr<PageCache> pages_;
  std::shared_ptr<Memory> behind_;
};

}  // namespace pythreads::attach
