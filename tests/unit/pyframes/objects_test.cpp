#include "pyframes/objects.h"

#include <gtest/gtest.h>

#include "pyframes/layouts.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::ErrorCode;
using tests::PythonHeap;

class Objects : public testing::TestWithParam<LayoutRow> {
 protected:
  const RuntimeLayout& layout() const { return *GetParam().layout; }
};

std::string name_of(const testing::TestParamInfo<LayoutRow>& row) {
  return "v3_" + std::to_string(row.param.minor) + "_" + std::to_string(row.param.micro) +
         (row.param.kind.free_threaded ? "t" : "") + (row.param.kind.debug ? "d" : "") +
         (row.param.kind.linked_objects ? "_linked" : "");
}

std::vector<LayoutRow> all_rows() {
  return {layout_rows().begin(), layout_rows().end()};
}

// A compact str of two-byte characters.
Address wide_str(PythonHeap& heap, const std::vector<std::uint16_t>& characters) {
  const RuntimeLayout& layout = heap.layout();
  const auto header = static_cast<std::uint64_t>(layout.compact_unicode.size);
  const Address at =
      heap.object(heap.type("str", type_flag::unicode_subclass), header + 2 * characters.size());
  heap.set(at, layout.unicode.length, characters.size());
  std::uint32_t word = 0;
  const Address state = at + static_cast<std::uint64_t>(layout.unicode.kind.offset);
  word |= 2U << layout.unicode.kind.shift;
  word |= 1U << layout.unicode.compact.shift;
  heap.memory().put(state, word);
  for (std::size_t i = 0; i < characters.size(); ++i) heap.memory().put(at + header + 2 * i, characters[i]);
  return at;
}

TEST_P(Objects, StrIsCutAtItsLimitAndSaysSo) {
  PythonHeap heap(layout());
  const Address hello = heap.str("hello");
  auto whole = read_str(layout(), heap.memory(), hello, 100);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->text, "hello");
  EXPECT_FALSE(whole->cut);
  auto part = read_str(layout(), heap.memory(), hello, 2);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->text, "he");
  EXPECT_EQ(part->length, 5U);
  EXPECT_TRUE(part->cut);
}

TEST_P(Objects, LoneSurrogatesBecomeSixCharacters) {
  PythonHeap heap(layout());
  auto text = read_str(layout(), heap.memory(), wide_str(heap, {0xe9, 0xdc80, 0x51fd, 'x'}), 100);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(text->text, "\xc3\xa9\\uDC80\xe5\x87\xbdx");
}

TEST_P(Objects, LengthsThatLieAreRefusedOrBounded) {
  PythonHeap heap(layout());
  const Address text = heap.str("abc");
  heap.set(text, layout().unicode.length, -1);
  EXPECT_EQ(read_str(layout(), heap.memory(), text, 10).error().code, ErrorCode::corrupt);
  heap.set(text, layout().unicode.length, std::int64_t{1} << 60);
  EXPECT_EQ(read_str(layout(), heap.memory(), text, 1 << 30).error().code, ErrorCode::unreadable);
  const Address items = heap.tuple({Address(1), Address(2)});
  heap.set(items, layout().tuple.ob_size, std::int64_t{1} << 60);
  EXPECT_EQ(read_tuple(layout(), heap.memory(), items, 1 << 30).error().code, ErrorCode::unreadable);
  auto first = read_tuple(layout(), heap.memory(), items, 1);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->cut);
  EXPECT_EQ(first->items, std::vector<Address>{Address(1)});
}

TEST_P(Objects, IntsOfAnySize) {
  PythonHeap heap(layout());
  for (std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 30,
                             -(std::int64_t{1} << 62), std::int64_t{0x030b07f0}}) {
    auto read = read_int(layout(), heap.memory(), heap.integer(value));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->as_int64(), value);
  }
  auto large = read_int(layout(), heap.memory(), heap.big_integer({1, 2, 16}, false));
  ASSERT_TRUE(large);
  EXPECT_EQ(large->as_uint64(), std::nullopt) << "2^64 and more doesn't fit";
  auto most = read_int(layout(), heap.memory(), heap.big_integer({0x3fffffff, 0x3fffffff, 15}, false));
  ASSERT_TRUE(most);
  EXPECT_EQ(most->as_uint64(), ~std::uint64_t{0});
  EXPECT_EQ(most->as_int64(), std::nullopt);
}

TEST_P(Objects, FindsKeysOfLargeDictsAndSaysWhenThereIsNone) {
  PythonHeap heap(layout());
  std::vector<std::pair<Address, Address>> entries;
  for (int i = 0; i < 500; ++i) entries.emplace_back(heap.str("key" + std::to_string(i)), heap.integer(i));
  entries[100].second = Address();  // deleted
  const Address dict = heap.dict(entries);
  auto found = find_in_dict(layout(), heap.memory(), dict, "key499");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, entries[499].second);
  EXPECT_EQ(*find_in_dict(layout(), heap.memory(), dict, "key100"), std::nullopt);
  EXPECT_EQ(*find_in_dict(layout(), heap.memory(), dict, "key500"), std::nullopt);
  auto items = read_dict(layout(), heap.memory(), dict, 10);
  ASSERT_TRUE(items);
  EXPECT_EQ(items->entries.size(), 10U);
  EXPECT_TRUE(items->cut);
  EXPECT_EQ(read_dict(layout(), heap.memory(), dict, 1000)->entries.size(), 499U);
}

TEST_P(Objects, AFailedReadIsNotAMissingKey) {
  PythonHeap heap(layout());
  const Address dict = heap.dict({{Address(0x1234'5678), heap.none()}, {heap.str("there"), heap.none()}});
  EXPECT_EQ(find_in_dict(layout(), heap.memory(), dict, "there").error().code, ErrorCode::unreadable);
}

TEST_P(Objects, ASecondSearchReadsNoKeys) {
  PythonHeap heap(layout());
  std::vector<std::pair<Address, Address>> entries;
  for (int i = 0; i < 100; ++i) entries.emplace_back(heap.str("key" + std::to_string(i)), heap.integer(i));
  const Address dict = heap.dict(entries);
  DictPlaces places;
  const auto first = find_in_dict(layout(), heap.memory(), dict, "key77", {heap.memory(), &places});
  ASSERT_TRUE(first && *first);
  EXPECT_EQ(**first, entries[77].second);
  tests::FakeMemory nothing;
  const auto second = find_in_dict(layout(), heap.memory(), dict, "key77", {nothing, &places});
  ASSERT_TRUE(second && *second);
  EXPECT_EQ(**second, entries[77].second);
  EXPECT_FALSE(find_in_dict(layout(), heap.memory(), dict, "key78", {nothing, &places}));

  // Another key stands there now: it is sought anew.
  places.at({dict, "key77"}).key = entries[76].first;
  EXPECT_FALSE(find_in_dict(layout(), heap.memory(), dict, "key77", {nothing, &places}));
  const auto third = find_in_dict(layout(), heap.memory(), dict, "key77", {heap.memory(), &places});
  ASSERT_TRUE(third && *third);
  EXPECT_EQ(**third, entries[77].second);
  EXPECT_EQ(places.at({dict, "key77"}).index, 77u);
}

TEST_P(Objects, AttributesOfInstances) {
  PythonHeap heap(layout());
  const Address value = heap.integer(7);
  const Address object = heap.instance("bank.Account", heap.dict({{heap.str("balance"), value}}));
  auto found = find_attribute(layout(), heap.memory(), object, "balance");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, value);
  EXPECT_EQ(*find_attribute(layout(), heap.memory(), object, "name"), std::nullopt);
}

TEST_P(Objects, BasesAreWalkedToABound) {
  PythonHeap heap(layout());
  const Address base = heap.type("_thread.lock");
  const Address derived = heap.type("Mine", 0, 0, base);
  EXPECT_TRUE(*type_or_base_is(layout(), heap.memory(), derived, "_thread.lock"));
  EXPECT_FALSE(*type_or_base_is(layout(), heap.memory(), derived, "_thread.RLock"));
  heap.set(base, layout().type.tp_base, derived);  // a circle
  EXPECT_FALSE(*type_or_base_is(layout(), heap.memory(), derived, "_thread.RLock"));
}

INSTANTIATE_TEST_SUITE_P(Layouts, Objects, testing::ValuesIn(all_rows()), name_of);

TEST(Text, OtherBytesBecomeFourCharacters) {
  EXPECT_EQ(valid_utf8("a\xff\xc3\xa9\xed\xa0\x80z"), "a\\xff\xc3\xa9\\xed\\xa0\\x80z");
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80\xc0\xaf\xe2\x82"), "\\xf4\\x90\\x80\\x80\\xc0\\xaf\\xe2\\x82");
  EXPECT_EQ(valid_utf8("\xf0\x9f\x90\x8d"), "\xf0\x9f\x90\x8d");
}

}  // namespace
}  // namespace pythreads::pyframes
