#include "report/text_encoding.h"

#include <gtest/gtest.h>

#include "report/analysis/shown_names.h"
#include "report/render/text.h"

namespace pythreads::tests {
namespace {

using report::escaped;
using report::rfc3339;
using report::shortened;
using report::valid_utf8;

TEST(TextEncoding, ValidTextStaysAsItIs) {
  EXPECT_EQ(valid_utf8("größe 日本 🐍"), "größe 日本 🐍");
  EXPECT_EQ(valid_utf8(""), "");
  EXPECT_EQ(valid_utf8(std::string_view("a\0b", 3)), std::string_view("a\0b", 3));
}

TEST(TextEncoding, OtherBytesAreShownAsFourCharacters) {
  EXPECT_EQ(valid_utf8("a\xff"
                       "b"),
            "a\\xffb");
  EXPECT_EQ(valid_utf8("\xc3"), "\\xc3");           // cut
  EXPECT_EQ(valid_utf8("\xc0\xaf"), "\\xc0\\xaf");  // overlong
  EXPECT_EQ(valid_utf8("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
  EXPECT_EQ(valid_utf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past U+10FFFF
}

TEST(TextEncoding, LoneSurrogatesAreShownAsSixCharacters) {
  EXPECT_EQ(valid_utf8("\xed\xb3\xbf"), "\\uDCFF");
  EXPECT_EQ(valid_utf8("x\xed\xa0\x80y"), "x\\uD800y");
}

TEST(TextEncoding, ALongTextIsCutBetweenCharacters) {
  EXPECT_EQ(shortened("größe", 5), "größe");
  EXPECT_EQ(shortened("größe", 4), "größ…");
  EXPECT_EQ(shortened("日本🐍x", 3), "日本🐍…");
  EXPECT_EQ(shortened("", 3), "");
  EXPECT_EQ(shortened("a", 0), "…");
  EXPECT_EQ(shortened("\xff\xff", 1), "\xff…");  // no text, and yet it ends
}

TEST(TextEncoding, TimesAreUtcWithMilliseconds) {
  using std::chrono::milliseconds;
  using std::chrono::system_clock;
  EXPECT_EQ(rfc3339(system_clock::time_point(milliseconds(1767323045678))), "2026-01-02T03:04:05.678Z");
  EXPECT_EQ(rfc3339(system_clock::time_point(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(Escaped, WhatATerminalWouldObeyIsShown) {
  EXPECT_EQ(escaped("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(escaped("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(escaped("\xc2\x9b"
                    "31m"),
            "\\u009b31m");  // C1: CSI in one character
  EXPECT_EQ(escaped("a\xe2\x80\xae"
                    "b"),
            "a\\u202eb");  // right-to-left override
  EXPECT_EQ(escaped("a\xe2\x80\xa8"
                    "b"),
            "a\\u2028b");  // line separator
  EXPECT_EQ(escaped("größe 🐍"), "größe 🐍");
  EXPECT_EQ(escaped("\xff"), "\\xff");
}

}  // namespace
}  // namespace pythreads::tests
