#include "cli/duration.h"

#include <gtest/gtest.h>

namespace pythreads::cli {
namespace {

TEST(Duration, UnitsAndNonsense) {
  EXPECT_EQ(*parse_duration("500ms"), std::chrono::milliseconds(500));
  EXPECT_EQ(*parse_duration("2s"), std::chrono::seconds(2));
  EXPECT_EQ(*parse_duration("1m"), std::chrono::minutes(1));
  EXPECT_EQ(*parse_duration("0s"), std::chrono::seconds(0));
  for (const char* wrong :
       {"", "5", "ms", "-1s", "1h", "1.5s", " 1s", "1s ", "99999999999999999999s", "100000m"}) {
    EXPECT_FALSE(parse_duration(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace pythreads::cli
