#include "attach/page_cache.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "attach/frozen_memory.h"
#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

using tests::FakeMemory;

constexpr std::uint64_t page = PageCache::page_bytes;

class PageCacheTest : public testing::Test {
 protected:
  void map_pages(std::uint64_t first, std::uint64_t count) {
    fake->map(Range{Address(first * page), count * page});
  }
  std::uint64_t word(Memory& memory, std::uint64_t at) {
    const Result<std::uint64_t> value = memory.read_value<std::uint64_t>(Address(at));
    return value ? *value : ~std::uint64_t{0};
  }

  std::shared_ptr<FakeMemory> fake = std::make_shared<FakeMemory>();
};

TEST_F(PageCacheTest, ReadsAPageOnce) {
  map_pages(1, 1);
  fake->put(Address(0x1000), std::uint64_t{1});
  fake->put(Address(0x1ff8), std::uint64_t{2});
  PageCache cache(fake);
  EXPECT_EQ(word(cache, 0x1000), 1u);
  EXPECT_EQ(word(cache, 0x1ff8), 2u);
  EXPECT_EQ(word(cache, 0x1000), 1u);
  EXPECT_EQ(fake->pieces() + fake->reads(), 1u);
}

TEST_F(PageCacheTest, AReadOverTheEndOfAPageIsWholeOrSaysWhereItEnded) {
  map_pages(1, 2);
  fake->put(Address(0x1ffc), std::uint64_t{0x1122334455667788});
  PageCache cache(fake);
  EXPECT_EQ(word(cache, 0x1ffc), 0x1122334455667788u);
  std::array<std::byte, 16> bytes{};
  EXPECT_EQ(cache.read_up_to(Address(0x2ff8), bytes), 8u);
}

TEST_F(PageCacheTest, AnUnreadablePageIsAskedForOnce) {
  PageCache cache(fake);
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(0x5000)));
  const std::size_t asked = fake->pieces();
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(0x5000)));
  EXPECT_EQ(fake->pieces(), asked);
}

TEST_F(PageCacheTest, WhatNeedNotBeReadBeforeIsExpectedAllTheSame) {
  map_pages(1, 16);
  const std::vector<Range> stacks = {{Address(0x1800), 0x1000}, {Address(0x4100), 0x8000}};
  PageCache rehearsed(fake, 0, PageCache::Notes::what_is_asked);
  rehearsed.note_unread(stacks, HeldPart::stacks);
  EXPECT_EQ(fake->pieces() + fake->reads(), 0u);
  PageCache held(fake);
  held.expect(rehearsed.asked());
  held.begin(HeldPart::words);
  for (const Range& stack : stacks) EXPECT_EQ(held.kept(stack.begin, stack.size), 0u);
  held.begin(HeldPart::stacks);
  for (const Range& stack : stacks) EXPECT_EQ(held.kept(stack.begin, stack.size), stack.size);
}

TEST_F(PageCacheTest, NothingIsMappedAtTheEndOfTheAddressSpace) {
  map_pages(1, 1);
  for (const PageCache::Notes notes : {PageCache::Notes::none, PageCache::Notes::what_is_asked}) {
    PageCache cache(fake, 0, notes);
    for (const std::uint64_t begin :
         {~std::uint64_t{0} - 23, ~std::uint64_t{0} - 4200, std::uint64_t{1} << 63}) {
      for (const std::uint64_t size :
           {std::uint64_t{8}, std::uint64_t{16}, std::uint64_t{64}, std::uint64_t{1} << 20}) {
        const Range range{Address(begin), size};
        cache.prefetch(std::span(&range, 1));
        cache.note_unread(std::span(&range, 1), HeldPart::stacks);
        std::vector<std::byte> bytes(static_cast<std::size_t>(size));
        EXPECT_EQ(cache.read_up_to(range.begin, bytes), 0u);
      }
    }
    EXPECT_TRUE(cache.asked().empty());
    EXPECT_TRUE(cache.read_value<std::uint64_t>(Address(0x1000)));
  }
}

TEST_F(PageCacheTest, AWalkThatGoesAstrayEnds) {
  map_pages(1, 1);
  PageCache kept(fake), missing(fake);
  kept.close_after(std::chrono::milliseconds(5));
  while (kept.read_value<std::uint64_t>(Address(0x1000))) {
  }
  EXPECT_TRUE(kept.is_spent());
  missing.close_after(std::chrono::milliseconds(5));
  std::uint64_t at = 0x10000;
  while (!missing.is_closed()) {
    EXPECT_FALSE(missing.read_value<std::uint64_t>(Address(at)));
    at += page;
  }
  EXPECT_TRUE(missing.is_spent());
}

TEST_F(PageCacheTest, AWalkWithinItsBoundIsNotEnded) {
  map_pages(1, 1);
  PageCache cache(fake);
  cache.close_after(std::chrono::hours(1));
  for (int again = 0; again < 1000; ++again) EXPECT_TRUE(cache.read_value<std::uint64_t>(Address(0x1000)));
  EXPECT_FALSE(cache.is_spent());
  EXPECT_FALSE(cache.is_closed());
}

TEST_F(PageCacheTest, AWaveIsOneBatchOfDistinctPages) {
  map_pages(1, 100);
  PageCache cache(fake);
  std::vector<Range> ranges;
  // Backwards, twice, three places in each page.
  for (int again = 0; again < 2; ++again) {
    for (std::uint64_t i = 100; i >= 1; --i) {
      for (const std::uint64_t offset : {0, 1000, 3000}) {
        ranges.push_back(Range{Address(i * page + offset), 96});
      }
    }
  }
  cache.prefetch(ranges);
  EXPECT_EQ(fake->batches(), 1u);
  EXPECT_EQ(fake->pieces(), 100u);
  EXPECT_EQ(fake->bytes_read(), 100 * page);
  fake->reset_counts();
  for (const Range& range : ranges) EXPECT_EQ(cache.kept(range.begin, range.size), range.size);
  cache.prefetch(ranges);
  EXPECT_EQ(fake->batches(), 0u);
}

TEST_F(PageCacheTest, WhatLiesAloneInItsPageIsReadExactly) {
  map_pages(1, 10);
  PageCache cache(fake);
  std::vector<Range> ranges;
  for (std::uint64_t i = 1; i <= 10; ++i) ranges.push_back(Range{Address(i * page + 512), 64});
  cache.prefetch(ranges);
  EXPECT_EQ(fake->batches(), 1u);
  EXPECT_EQ(fake->bytes_read(), 640u);
  // A second place in the page shows that it is a dense one.
  const std::array more = {Range{Address(3 * page + 2048), 64}};
  cache.prefetch(more);
  EXPECT_EQ(fake->bytes_read(), 640u + page);
  EXPECT_EQ(cache.kept(Address(3 * page), page), page);
}

TEST_F(PageCacheTest, ALongRangeIsKeptAsItIsAndReadOnce) {
  map_pages(16, 64);
  fake->put(Address(16 * page + 100), std::uint64_t{7});
  PageCache cache(fake);
  const std::array stacks = {Range{Address(16 * page + 100), 40 * page}};
  cache.prefetch(stacks);
  EXPECT_EQ(fake->pieces(), 1u);
  EXPECT_EQ(fake->bytes_read(), 40 * page);
  EXPECT_EQ(word(cache, 16 * page + 100), 7u);
  // One that reaches further costs only what it has more.
  const std::array longer = {Range{Address(16 * page), 50 * page}};
  cache.prefetch(longer);
  EXPECT_EQ(fake->bytes_read(), 50 * page);
  EXPECT_EQ(cache.kept(Address(16 * page), 50 * page), 50 * page);
}

TEST_F(PageCacheTest, OneUnreadableRangeDoesNotCostTheOthers) {
  map_pages(1, 1);
  map_pages(3, 1);
  PageCache cache(fake);
  const std::array ranges = {Range{Address(1 * page), 512}, Range{Address(2 * page), 512},
                             Range{Address(3 * page), 512}};
  cache.prefetch(ranges);
  EXPECT_EQ(cache.kept(Address(1 * page), 512), 512u);
  EXPECT_EQ(cache.kept(Address(2 * page), 512), 0u);
  EXPECT_EQ(cache.kept(Address(3 * page), 512), 512u);
}

TEST_F(PageCacheTest, ALengthFromGarbageIsNotAllocated) {
  PageCache cache(fake);
  const std::array ranges = {Range{Address(0x1000), ~std::uint64_t{0} - 0x2000},
                             Range{Address(~std::uint64_t{0} - 8), 64}, Range{Address(0x1000), 0}};
  cache.prefetch(ranges);
  EXPECT_EQ(fake->pieces(), 0u);
  std::array<std::byte, 64> bytes{};
  EXPECT_EQ(cache.read_up_to(Address(~std::uint64_t{0} - 8), bytes), 0u);
}

TEST_F(PageCacheTest, NothingGetsInAfterTheClose) {
  map_pages(1, 2);
  PageCache cache(fake);
  EXPECT_EQ(word(cache, page), 0u);
  cache.close();
  fake->put(Address(page), std::uint64_t{9});
  EXPECT_EQ(word(cache, page), 0u) << "what was read stays";
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(2 * page)));
  const std::array ranges = {Range{Address(2 * page), page}};
  cache.prefetch(ranges);
  EXPECT_EQ(cache.kept(Address(2 * page), page), 0u);
}

// A read that is on its way while the target is let go: what it brings is of a running target.
TEST_F(PageCacheTest, AReadThatEndsAfterTheCloseIsDropped) {
  class ClosingMemory : public FakeMemory {
   public:
    PageCache* cache = nullptr;
    void read_pieces(std::span<Piece> pieces) override {
      FakeMemory::read_pieces(pieces);
      cache->close();
    }
  };
  const auto closing = std::make_shared<ClosingMemory>();
  closing->map(Range{Address(page), page});
  PageCache cache(closing);
  closing->cache = &cache;
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(page)));
  EXPECT_EQ(cache.kept(Address(page), page), 0u);
}

TEST_F(PageCacheTest, ManyPagesAreFoundAgain) {
  map_pages(1, 5000);
  PageCache cache(fake, 64 * 1024);
  for (std::uint64_t i = 1; i <= 5000; ++i) fake->put(Address(i * page), i);
  for (std::uint64_t i = 1; i <= 5000; ++i) EXPECT_EQ(word(cache, i * page), i);
  for (std::uint64_t i = 1; i <= 5000; ++i) EXPECT_EQ(word(cache, i * page), i);
  EXPECT_EQ(fake->pieces(), 5000u);
}

TEST_F(PageCacheTest, NotesWhatIsAskedForAndNotThePagesThatItLiesIn) {
  map_pages(1, 64);
  PageCache cache(fake, 0, PageCache::Notes::what_is_asked);
  word(cache, page + 512);
  word(cache, page + 1024);
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(100 * page)));
  const std::array ranges = {Range{Address(2 * page - 16), 32}, Range{Address(8 * page + 8), 20 * page}};
  cache.prefetch(ranges);
  const std::vector<Range> expected = {Range{Address(page + 512), page - 512}, Range{Address(2 * page), 16},
                                       Range{Address(8 * page + 8), 20 * page}};
  const std::vector<PageCache::Asked> asked = cache.asked();
  ASSERT_EQ(asked.size(), expected.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(asked[i].range.begin, expected[i].begin);
    EXPECT_EQ(asked[i].range.size, expected[i].size);
  }
  EXPECT_TRUE(PageCache(fake).asked().empty());
}

TEST_F(PageCacheTest, WhatIsExpectedComesInOneBatch) {
  map_pages(1, 64);
  fake->put(Address(page + 512), std::uint64_t{5});
  fake->put(Address(9 * page), std::uint64_t{6});
  PageCache cache(fake);
  // Two in one page, one that can't be read, and a stack.
  const std::array<PageCache::Asked, 4> asked = {{{{Address(page + 512), 8}},
                                                  {{Address(page + 1024), 8}},
                                                  {{Address(8 * page + 8), 20 * page}},
                                                  {{Address(100 * page), 8}}}};
  cache.expect(asked);
  EXPECT_EQ(fake->batches(), 0u);
  EXPECT_EQ(cache.kept(Address(page + 512), 8), 0u) << "expected is not yet read";
  EXPECT_TRUE(cache.begin(HeldPart::words));
  EXPECT_EQ(fake->batches(), 1u);
  EXPECT_EQ(fake->bytes_read(), 512 + 8 + 20 * page);
  EXPECT_EQ(word(cache, page + 512), 5u);
  EXPECT_EQ(word(cache, 9 * page), 6u);
  EXPECT_EQ(cache.kept(Address(8 * page + 8), 20 * page), 20 * page);
  EXPECT_FALSE(cache.read_value<std::uint64_t>(Address(100 * page)));
  EXPECT_EQ(fake->batches(), 1u);
  // What was not expected is had as ever.
  EXPECT_EQ(word(cache, page), 0u);
  EXPECT_EQ(cache.kept(Address(page), page), page);
}

TEST_F(PageCacheTest, WhatIsExpectedDoesNotComeAfterTheClose) {
  map_pages(1, 1);
  PageCache cache(fake);
  const std::array<PageCache::Asked, 1> asked = {{{{Address(page), 8}}}};
  cache.expect(asked);
  cache.close();
  cache.begin(HeldPart::words);
  EXPECT_EQ(cache.kept(Address(page), 8), 0u);
}

TEST_F(PageCacheTest, APageBelongsToThePartThatNeedsItMost) {
  map_pages(1, 64);
  PageCache cache(fake, 0, PageCache::Notes::what_is_asked);
  const std::array stack = {Range{Address(8 * page), 20 * page}};
  EXPECT_TRUE(cache.begin(HeldPart::locals));
  word(cache, page);
  word(cache, 2 * page);
  EXPECT_TRUE(cache.begin(HeldPart::stacks));
  cache.prefetch(stack);
  EXPECT_TRUE(cache.begin(HeldPart::words));
  word(cache, 2 * page + 64);
  const std::vector<PageCache::Asked> asked = cache.asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].part, HeldPart::locals);
  EXPECT_EQ(asked[1].part, HeldPart::words);
  EXPECT_EQ(asked[1].range.size, 72u);
  EXPECT_EQ(asked[2].part, HeldPart::stacks);
}

TEST_F(PageCacheTest, WhatThereIsNoTimeForIsGivenUpButNeverTheWords) {
  map_pages(1, 4);
  PageCache cache(fake);
  const std::array<PageCache::Asked, 4> asked = {{{{Address(page), 8}, HeldPart::words},
                                                  {{Address(2 * page), 8}, HeldPart::stacks},
                                                  {{Address(3 * page), 8}, HeldPart::names},
                                                  {{Address(4 * page), 8}, HeldPart::locals}}};
  cache.expect(asked);
  EXPECT_TRUE(cache.begin(HeldPart::stacks)) << "there is no end yet";
  EXPECT_EQ(cache.kept(Address(2 * page), 8), 8u);
  cache.must_end_by(std::chrono::steady_clock::now());
  EXPECT_FALSE(cache.begin(HeldPart::names));
  EXPECT_TRUE(cache.begin(HeldPart::words));
  EXPECT_EQ(cache.kept(Address(page), 8), 8u);
  EXPECT_EQ(cache.kept(Address(3 * page), 8), 0u);
  cache.must_end_by(std::chrono::steady_clock::now() + std::chrono::hours(1));
  EXPECT_FALSE(cache.begin(HeldPart::names)) << "once given up, for ever";
  cache.close();
  EXPECT_FALSE(cache.begin(HeldPart::names));
  EXPECT_TRUE(cache.begin(HeldPart::stacks));
  EXPECT_TRUE(cache.is_given_up(HeldPart::names));
}

TEST_F(PageCacheTest, WhatTheCloseCutShortIsGivenUp) {
  map_pages(1, 2);
  PageCache cache(fake);
  EXPECT_TRUE(cache.begin(HeldPart::stacks));
  EXPECT_TRUE(cache.begin(HeldPart::names));
  cache.close();
  cache.give_up_the_rest();
  EXPECT_TRUE(cache.begin(HeldPart::words));
  EXPECT_TRUE(cache.begin(HeldPart::stacks));
  EXPECT_FALSE(cache.begin(HeldPart::names)) << "cut short";
  EXPECT_FALSE(cache.begin(HeldPart::locals)) << "not begun";
}

TEST_F(PageCacheTest, FrozenMemoryMissesAreErrors) {
  map_pages(1, 2);
  const auto cache = std::make_shared<PageCache>(fake);
  FrozenMemory frozen(cache);
  EXPECT_EQ(word(frozen, page), 0u) << "open: fetched";
  cache->close();
  EXPECT_EQ(word(frozen, page), 0u);
  EXPECT_FALSE(frozen.read_value<std::uint64_t>(Address(2 * page)));
}

TEST_F(PageCacheTest, LastingMemoryTakesTheStopsPagesFirst) {
  map_pages(1, 3);
  const auto cache = std::make_shared<PageCache>(fake);
  const auto now = std::make_shared<FakeMemory>();
  now->map(Range{Address(page), 3 * page});
  fake->put(Address(2 * page), std::uint32_t{0xaaaaaaaa});
  now->put(Address(2 * page), std::uint32_t{0xbbbbbbbb});
  now->put(Address(2 * page - 4), std::uint32_t{0xcccccccc});
  FrozenMemory lasting(cache, now);
  EXPECT_TRUE(lasting.read_value<std::uint32_t>(Address(2 * page)));
  EXPECT_EQ(now->reads(), 0u) << "while held nothing is read behind the stop's back";
  cache->close();
  EXPECT_EQ(word(lasting, 2 * page - 4), 0xaaaaaaaaccccccccu)
      << "live to the page's end, then the stop's page";
  EXPECT_EQ(word(lasting, 3 * page), 0u);
  EXPECT_FALSE(lasting.read_value<std::uint64_t>(Address(9 * page)));
}

}  // namespace
}  // namespace pythreads::attach
