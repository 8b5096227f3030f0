#include "unwinder/demangle.h"

#include <gtest/gtest.h>

namespace pythreads::unwinder {
namespace {

TEST(Demangle, CppNames) {
  EXPECT_EQ(demangle("_ZN6shapes8draw_allEi"), "shapes::draw_all(int)");
  EXPECT_EQ(demangle("_ZN6shapes6CircleIdE4drawEd"), "shapes::Circle<double>::draw(double)");
  EXPECT_EQ(demangle("_ZN12_GLOBAL__N_14testEv.part.0"), "(anonymous namespace)::test() [clone .part.0]");
}

TEST(Demangle, RustsOldForm) {
  EXPECT_EQ(demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"), "core::fmt::Write::write_fmt");
  EXPECT_EQ(demangle("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
                     "3bar17h930b740aa94f1d3aE"),
            "<Test + 'static as foo::Bar<Test>>::bar");
}

TEST(Demangle, RustsNewForm) {
  EXPECT_EQ(demangle("_RNvC6_123foo3bar"), "123foo::bar");
  EXPECT_EQ(demangle("_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate"),
            "<std::path::PathBuf>::new");
}

TEST(Demangle, LeavesOtherNamesAlone) {
  for (const char* name :
       {"", "main", "_PyEval_EvalFrameDefault", "take_gil.isra.0", "_Z", "_R", "_ZN", "_Zxyz", "_Rx"}) {
    EXPECT_EQ(demangle(name), name);
  }
}

// Each parameter is a pair of the one before: 30 of them are a billion of the first.
TEST(Demangle, LeavesANameThatStandsForGigabytes) {
  std::string name = "_Z1fSt4pairIiiE";
  const std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (std::size_t i = 0; i < 30; ++i) {
    name += "S_IS";
    name += digits[i];
    name += "_S";
    name += digits[i];
    name += "_E";
  }
  EXPECT_EQ(demangle(name), name);
}

TEST(Demangle, LeavesANameThatIsTooLong) {
  const std::string name = "_Z" + std::to_string(5000) + std::string(5000, 'a');
  EXPECT_EQ(demangle(name + "v"), name + "v");
  const std::string deep = "_Z1f" + std::string(4000, 'P') + "i";
  EXPECT_EQ(demangle(deep).substr(0, 2) == "_Z" || demangle(deep).starts_with("f("), true);
}

}  // namespace
}  // namespace pythreads::unwinder
