#include "pyframes/exception_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace pythreads::pyframes {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& table, std::uint32_t value, bool begins) {
  std::vector<std::uint8_t> groups;
  do {
    groups.insert(groups.begin(), static_cast<std::uint8_t>(value & 0x3FU));
    value >>= 6;
  } while (value != 0);
  for (std::size_t i = 0; i + 1 < groups.size(); ++i) groups[i] |= 0x40U;
  if (begins) groups[0] |= 0x80U;
  table.insert(table.end(), groups.begin(), groups.end());
}

void entry(Bytes& table, std::uint32_t start, std::uint32_t length, std::uint32_t target,
           std::uint32_t depth) {
  append(table, start, true);
  append(table, length, false);
  append(table, target, false);
  append(table, depth << 1, false);
}

TEST(ExceptionTable, FindsTheEntryThatCoversTheInstruction) {
  Bytes bytes;
  entry(bytes, 3, 4, 100, 1);
  entry(bytes, 7, 2, 5000, 2);
  const ExceptionTable table = parse_exception_table(bytes);
  EXPECT_FALSE(find_handler(table, 4));
  EXPECT_EQ(find_handler(table, 6)->target, 200);
  EXPECT_EQ(find_handler(table, 13)->depth, 1U);
  EXPECT_EQ(find_handler(table, 14)->target, 10000);
  EXPECT_EQ(find_handler(table, 17)->depth, 2U);
  EXPECT_FALSE(find_handler(table, 18));
}

// co_exceptiontable of `def f(a, b, x):\n with a:\n  with b:\n   x()` as CPython 3.11.7 writes it. x() is
// called at 44; the handlers of the two blocks begin at 58 and 106, and between them lies the inner one's own
// cleanup at 66.
TEST(ExceptionTable, LeadsOutwardsThroughWhatCPythonWrote) {
  const Bytes bytes = {131, 3, 53,  3, 134, 11, 29,  5, 145, 12, 53,  3, 157, 4, 33,  9, 161, 3,
                       53,  3, 164, 1, 33,  9,  165, 3, 53,  3,  181, 4, 57,  7, 188, 1, 57,  7};
  const ExceptionTable table = parse_exception_table(bytes);
  std::vector<std::int64_t> targets;
  std::vector<std::uint32_t> depths;
  for (auto handler = find_handler(table, 22); handler && targets.size() < 10;
       handler = find_handler(table, handler->target)) {
    targets.push_back(handler->target);
    depths.push_back(handler->depth);
  }
  EXPECT_EQ(targets, (std::vector<std::int64_t>{58, 66, 106, 114}));
  EXPECT_EQ(depths, (std::vector<std::uint32_t>{2, 4, 1, 3}));
  EXPECT_EQ(find_handler(table, 44)->target, 106);  // the inner block is no longer open
}

TEST(ExceptionTable, EndsOnAnyBytes) {
  EXPECT_TRUE(parse_exception_table({}).empty());
  EXPECT_TRUE(parse_exception_table(Bytes{0x80}).empty());
  EXPECT_TRUE(parse_exception_table(Bytes(4096, 0xFF)).empty());  // numbers that never end
  EXPECT_TRUE(parse_exception_table(Bytes{0x80, 0x01, 0x02}).empty());
  for (unsigned seed = 0; seed < 2000; ++seed) {
    Bytes bytes;
    unsigned state = seed * 2654435761U + 1;
    for (int i = 0; i < 64; ++i) {
      state = state * 1664525U + 1013904223U;
      bytes.push_back(static_cast<std::uint8_t>(state >> 24));
    }
    const auto handler = find_handler(parse_exception_table(bytes), static_cast<std::int64_t>(seed));
    EXPECT_GE(handler ? handler->target : 0, 0);
  }
}

}  // namespace
}  // namespace pythreads::pyframes
