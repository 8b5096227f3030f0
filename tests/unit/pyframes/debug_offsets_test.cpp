#include "pyframes/debug_offsets.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "pyframes/layouts.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::ErrorCode;
using Bytes = std::vector<std::byte>;

void put(Bytes& bytes, std::size_t at, std::uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

std::uint64_t get(const Bytes& bytes, std::size_t at) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// What Debian's python3.13 (3.13.5) has there, as it was read from the live process.
Bytes debian_3_13() {
  const std::vector<std::uint64_t> words = {0x7970677562656478,
                                            0x30d05f0,
                                            0,
                                            283376,
                                            608,
                                            632,
                                            194976,
                                            7272,
                                            7264,
                                            7344,
                                            7400,
                                            7656,
                                            7640,
                                            7648,
                                            16,
                                            7752,
                                            0,
                                            7768,
                                            7760,
                                            304,
                                            0,
                                            8,
                                            16,
                                            72,
                                            152,
                                            160,
                                            232,
                                            32,
                                            80,
                                            8,
                                            0,
                                            56,
                                            72,
                                            70,
                                            208,
                                            112,
                                            120,
                                            128,
                                            136,
                                            68,
                                            52,
                                            96,
                                            104,
                                            200,
                                            16,
                                            8,
                                            416,
                                            24,
                                            88,
                                            168,
                                            32,
                                            24,
                                            16,
                                            40,
                                            24,
                                            16,
                                            48,
                                            32,
                                            40,
                                            24,
                                            16,
                                            32,
                                            16,
                                            24,
                                            40,
                                            16,
                                            32,
                                            64,
                                            32,
                                            16,
                                            40,
                                            240,
                                            200};
  Bytes bytes(words.size() * 8);
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

const RuntimeLayout& table_3_13() {
  return *find_layout({3, 13, 5, 0}, {});
}

TEST(DebugOffsets, AgreeWithTheTableOfTheSameBuild) {
  auto layout = lay_over(table_3_13(), debian_3_13());
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(layout->code.co_filename, table_3_13().code.co_filename);
  EXPECT_EQ(layout->interpreter.threads_head, table_3_13().interpreter.threads_head);
  EXPECT_EQ(layout->interpreter.gc_collecting, table_3_13().interpreter.gc_collecting);
  EXPECT_EQ(layout->gil.last_holder, table_3_13().gil.last_holder);
  EXPECT_EQ(layout->unicode.kind, table_3_13().unicode.kind);
  EXPECT_EQ(layout->thread_state.status_active, table_3_13().thread_state.status_active);
  EXPECT_EQ(layout->interpreter_frame.owner, table_3_13().interpreter_frame.owner);
}

TEST(DebugOffsets, WhatTheTargetMovedIsMoved) {
  Bytes bytes = debian_3_13();
  put(bytes, 184, get(bytes, 184) + 16);  // thread_state.current_frame
  put(bytes, 216, get(bytes, 216) + 8);   // thread_state.status
  auto layout = lay_over(table_3_13(), bytes);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(layout->thread_state.current_frame.offset, table_3_13().thread_state.current_frame.offset + 16);
  EXPECT_EQ(layout->thread_state.status_holds_gil.offset,
            table_3_13().thread_state.status_holds_gil.offset + 8);
}

TEST(DebugOffsets, ANewerMinorIsReadByTheNewestShape) {
  EXPECT_EQ(debug_offsets_size(13), 584U);
  EXPECT_EQ(debug_offsets_size(14), 760U);
  EXPECT_EQ(debug_offsets_size(15), 888U);
  EXPECT_EQ(debug_offsets_size(16), 888U);
}

// CPython's main after 3.15: PyCodeObject lost a member in front of _co_firsttraceable, of which no value
// tells.
TEST(DebugOffsets, WhatIsNotToldOfANewerMinorMovesWithItsNeighboursOrIsAbsent) {
  constexpr std::size_t code_size = 272, co_code_adaptive = 344;
  Bytes bytes = debian_3_13();
  const RuntimeLayout table = table_3_13();
  auto unmoved = lay_over(table, bytes, TableOf::another_version);
  ASSERT_TRUE(unmoved) << unmoved.error().message;
  EXPECT_EQ(unmoved->code.co_firsttraceable, table.code.co_firsttraceable);
  put(bytes, code_size, get(bytes, code_size) - 8);
  put(bytes, co_code_adaptive, get(bytes, co_code_adaptive) - 8);
  auto moved = lay_over(table, bytes, TableOf::another_version);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_FALSE(moved->code.co_firsttraceable.exists());
  EXPECT_FALSE(moved->code.co_monitoring.exists());
  EXPECT_EQ(moved->code.co_exceptiontable, table.code.co_exceptiontable);
  auto same_version = lay_over(table, bytes);
  ASSERT_TRUE(same_version);
  EXPECT_EQ(same_version->code.co_firsttraceable, table.code.co_firsttraceable);
}

TEST(DebugOffsets, OneValueThatCannotBeTrueRefusesAll) {
  const Bytes good = debian_3_13();
  for (std::size_t at = 24; at < good.size(); at += 8) {
    Bytes bytes = good;
    put(bytes, at, ~std::uint64_t{0} - 7);
    auto layout = lay_over(table_3_13(), bytes);
    // gil_runtime_state_enabled and tp_repr are not used; nor is argcount's neighbour.
    if (at == 128 || at == 384) {
      EXPECT_TRUE(layout) << at;
    } else {
      ASSERT_FALSE(layout) << at;
      EXPECT_EQ(layout.error().code, ErrorCode::corrupt);
    }
  }
}

TEST(DebugOffsets, TheHeaderIsChecked) {
  const Bytes good = debian_3_13();
  auto header = parse_debug_offsets_header(good);
  ASSERT_TRUE(header);
  EXPECT_EQ(to_string(header->version), "3.13.5");
  EXPECT_FALSE(header->free_threaded);
  for (auto [at, value] : {std::pair<std::size_t, std::uint64_t>{0, 0},
                           {8, 0x030c00f0},
                           {8, 0x1030d05f0},
                           {8, 0x040000f0},
                           {16, 2}}) {
    Bytes bytes = good;
    put(bytes, at, value);
    EXPECT_FALSE(parse_debug_offsets_header(bytes)) << at;
    EXPECT_FALSE(lay_over(table_3_13(), bytes)) << at;
  }
  for (std::size_t size = 0; size < good.size(); size += 8)
    EXPECT_FALSE(lay_over(table_3_13(), std::span(good).first(size))) << size;
}

TEST(Version, IsSpokenAsPythonSpeaksIt) {
  EXPECT_EQ(to_string(version_of_hex(0x030b07f0)), "3.11.7");
  EXPECT_EQ(to_string(version_of_hex(0x030f00c1)), "3.15.0rc1");
  EXPECT_EQ(to_string(version_of_hex(0x030e00a7)), "3.14.0a7");
  EXPECT_EQ(to_string(version_of_hex(0x030d00b4)), "3.13.0b4");
}

}  // namespace
}  // namespace pythreads::pyframes
