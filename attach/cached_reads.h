// While it lives, what is read of a target's memory is kept, page by page: for a search of thousands of small
// reads, of which each would be a system call. What is read twice is as it was the first time.
#pragma once

#include <memory>
#include <utility>

#include "attach/page_cache.h"
#include "attach/target.h"

namespace pythreads::attach {

class CachedReads {
 public:
  explicit CachedReads(Target& target) : target_(target), source_(std::move(target.memory)) {
    target.memory = std::make_unique<Cached>(*source_);
  }
  ~CachedReads() { target_.memory = std::move(source_); }
  CachedReads(const CachedReads&) = delete;
  CachedReads& operator=(const CachedReads&) = delete;

 private:
  class Cached : public Memory {
   public:
    // The cache owns nothing of what it reads from, which goes back to the target.
    explicit Cached(Memory& source)
        : source_(source), pages_(std::shared_ptr<Memory>(&source, [](Memory*) {})) {}
    void prefetch(std::span<const Range> ranges) override { pages_.prefetch(ranges); }

   private:
    // A page that is there in part is no page.
    std::size_t read_some(Address from, std::span<std::byte> into) override {
      const std::size_t done = pages_.read_up_to(from, into);
      return done == into.size() ? done : done + source_.read_up_to(from + done, into.subspan(done));
    }

    Memory& source_;
    PageCache pages_;
  };

  Target& target_;
  std::unique_ptr<Memory> source_;
};

}  // namespace pythreads::attach
