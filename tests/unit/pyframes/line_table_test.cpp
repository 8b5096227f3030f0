#include "pyframes/line_table.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace pythreads::pyframes {
namespace {

using Bytes = std::vector<std::uint8_t>;

int line_of(const SourcePosition& position) {
  return position.line;
}

// The example of Objects/lnotab_notes.txt at v3.9.0: offsets 0 6 50 350 361 of lines 1 2 7 207 208.
TEST(Lnotab, FollowsSignedIncrements) {
  const Bytes table = {0, 1, 6, 1, 44, 5, 255, 0, 45, 127, 0, 73, 11, 1};
  const std::vector<std::pair<int, int>> expected = {
      {0, 1}, {5, 1}, {6, 2}, {49, 2}, {50, 7}, {349, 7}, {350, 207}, {360, 207}, {361, 208}, {5000, 208}};
  for (auto [instruction, line] : expected)
    EXPECT_EQ(line_of(position_in_lnotab(table, 0, instruction)), line) << instruction;
  const Bytes back = {2, 5, 2, 0xfd};
  EXPECT_EQ(line_of(position_in_lnotab(back, 10, 0)), 10);
  EXPECT_EQ(line_of(position_in_lnotab(back, 10, 2)), 15);
  EXPECT_EQ(line_of(position_in_lnotab(back, 10, 4)), 12);
}

TEST(Lnotab, BeforeTheFirstInstructionIsTheFirstLine) {
  EXPECT_EQ(line_of(position_in_lnotab(Bytes{0, 3}, 10, -1)), 10);
  EXPECT_EQ(line_of(position_in_lnotab(Bytes{}, 10, 0)), 10);
  EXPECT_EQ(line_of(position_in_lnotab(Bytes{7}, 10, 100)), 10) << "half a pair is no pair";
}

TEST(Linetable, HasRangesWithoutALine) {
  const Bytes table = {4, 0, 2, 0x80, 6, 3};
  EXPECT_EQ(line_of(position_in_linetable(table, 20, 0)), 20);
  EXPECT_EQ(line_of(position_in_linetable(table, 20, 3)), 20);
  EXPECT_EQ(line_of(position_in_linetable(table, 20, 4)), 0);
  EXPECT_EQ(line_of(position_in_linetable(table, 20, 6)), 23);
  EXPECT_EQ(line_of(position_in_linetable(table, 20, 12)), 0) << "past the end there is no line";
  EXPECT_EQ(line_of(position_in_linetable(table, 20, -2)), 20);
}

// One entry of each kind that Objects/locations.md names.
TEST(LocationTable, ReadsEachKindOfEntry) {
  const Bytes table = {
      0x80 | 2 << 3 | 1,  3 << 4 | 5,                     // short: column 2*8+3, 5 wide, 2 units
      0x80 | 11 << 3 | 0, 4,          9,                  // one line on: columns 4 to 9, 1 unit
      0x80 | 13 << 3 | 0, 3 << 1 | 1,                     // no columns: 3 lines back
      0x80 | 14 << 3 | 0, 10 << 1,    2, 7, 0x40 | 1, 1,  // long: 10 on, 2 lines, columns 7 to 65
      0x80 | 15 << 3 | 0,                                 // no location
  };
  EXPECT_EQ(position_in_location_table(table, 100, 0), (SourcePosition{100, 100, 20, 25}));
  EXPECT_EQ(position_in_location_table(table, 100, 3), (SourcePosition{100, 100, 20, 25}));
  EXPECT_EQ(position_in_location_table(table, 100, 4), (SourcePosition{101, 101, 5, 10}));
  EXPECT_EQ(position_in_location_table(table, 100, 6), (SourcePosition{98, 98, 0, 0}));
  EXPECT_EQ(position_in_location_table(table, 100, 8), (SourcePosition{108, 110, 7, 65}));
  EXPECT_EQ(position_in_location_table(table, 100, 10), SourcePosition{});
  EXPECT_EQ(position_in_location_table(table, 100, 12), SourcePosition{});
  EXPECT_EQ(position_in_location_table(table, 100, -2), (SourcePosition{100, 100, 0, 0}));
}

TEST(LocationTable, AnyBytesGiveAnAnswer) {
  // A varint without an end, an entry cut short, a first byte that isn't one.
  EXPECT_EQ(position_in_location_table(Bytes{0x80 | 14 << 3, 0x7f, 0x7f, 0x7f}, 1, 0).line, 0);
  EXPECT_EQ(position_in_location_table(Bytes{0x80 | 14 << 3}, 5, 0).line, 5);
  EXPECT_EQ(position_in_location_table(Bytes{0x01, 0x02, 0x03}, 5, 1000).line, 0);
  EXPECT_EQ(position_in_location_table({}, 5, std::numeric_limits<std::int64_t>::max()).line, 0);
  const Bytes huge(1 << 20, 0xf6);  // long entries whose numbers never end: no second walk for each of them
  EXPECT_EQ(position_in_location_table(huge, 1, 1 << 30).line, 0);
}

TEST(LineTables, LinesThatNoIntHoldsAreNone) {
  Bytes table;
  for (int i = 0; i < 4; ++i) table.insert(table.end(), {0x80 | 13 << 3, 0x7e, 0x7f, 0x7f, 0x7f, 0x7f, 0x1f});
  EXPECT_EQ(position_in_location_table(table, 1, 6).line, 0);
  EXPECT_EQ(position_in_location_table(table, -5, -1).line, 0);
}

}  // namespace
}  // namespace pythreads::pyframes
