#include "report/render/line_layout.h"

#include <gtest/gtest.h>

namespace pythreads::report {
namespace {

using Pieces = std::vector<std::string>;

TEST(LineLayout, ColumnsAreNotBytes) {
  EXPECT_EQ(terminal_columns(""), 0U);
  EXPECT_EQ(terminal_columns("lock"), 4U);
  EXPECT_EQ(terminal_columns("…ü"), 2U);
  EXPECT_EQ(terminal_columns("e\u0301"), 1U);
  EXPECT_EQ(terminal_columns("ロック"), 6U);
  EXPECT_EQ(terminal_columns("\xff"), 1U);
}

TEST(LineLayout, BreaksAtSpacesAndSetsInFurther) {
  EXPECT_EQ(broken_line("one two three", 80), (Pieces{"one two three"}));
  EXPECT_EQ(broken_line("one two three", 8), (Pieces{"one two", "    three"}));
  EXPECT_EQ(broken_line("  - one two", 7), (Pieces{"  - one", "      two"}));
  EXPECT_EQ(broken_line("a much-longer-word b", 6), (Pieces{"a", "    much-longer-word", "    b"}));
  EXPECT_EQ(broken_line("ロック ロック", 7), (Pieces{"ロック", "    ロック"}));
  EXPECT_EQ(broken_line("", 10), (Pieces{""}));
  EXPECT_EQ(broken_line("      ", 3), (Pieces{"      "}));
}

TEST(LineLayout, PathsKeepTheirEnd) {
  EXPECT_EQ(shortened_path("/srv/app/bank.py", 16), "/srv/app/bank.py");
  EXPECT_EQ(shortened_path("/srv/app/bank.py", 15), "…/app/bank.py");
  EXPECT_EQ(shortened_path("/srv/app/bank.py", 12), "…/bank.py");
  EXPECT_EQ(shortened_path("/srv/app/bank.py", 0), "…/bank.py");
  EXPECT_EQ(shortened_path("<string>", 3), "<string>");
  EXPECT_EQ(shortened_path("/init", 2), "/init");
}

}  // namespace
}  // namespace pythreads::report
