#include "pyframes/values.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

class Values : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  std::string shown(Address object, const ValueLimits& limits = {}) {
    Reading reading = built_.reading();
    return read_value(reading, object, limits).text;
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
};

TEST_P(Values, AreShownAsReprShowsThem) {
  EXPECT_EQ(shown(objects_.none()), "None");
  EXPECT_EQ(shown(objects_.boolean(true)), "True");
  EXPECT_EQ(shown(objects_.boolean(false)), "False");
  EXPECT_EQ(shown(objects_.integer(0)), "0");
  EXPECT_EQ(shown(objects_.integer(-42)), "-42");
  EXPECT_EQ(shown(objects_.big_integer({0, 0, 0, 1024}, true)), "-1267650600228229401496703205376");
  EXPECT_EQ(shown(objects_.floating(2.5)), "2.5");
  EXPECT_EQ(shown(objects_.str("it's")), "\"it's\"");
  EXPECT_EQ(shown(objects_.str("a\n\x1b[0m")), "'a\\n\\x1b[0m'");
  EXPECT_EQ(shown(objects_.bytes("a\xff'")), "b\"a\\xff'\"");
  EXPECT_EQ(shown(objects_.tuple({})), "()");
  EXPECT_EQ(shown(objects_.tuple({objects_.integer(1)})), "(1,)");
  EXPECT_EQ(shown(objects_.list({objects_.integer(1), objects_.str("x")})), "[1, 'x']");
  EXPECT_EQ(shown(objects_.dict({{objects_.str("k"), objects_.list({})}})), "{'k': []}");
}

TEST_P(Values, OfOtherTypesAreTypeAndAddress) {
  const Address object = objects_.object(objects_.type("bank.Account"), 64);
  char expected[64];
  std::snprintf(expected, sizeof expected, "<bank.Account at 0x%llx>",
                static_cast<unsigned long long>(object.value));
  EXPECT_EQ(shown(object), expected);
}

TEST_P(Values, AreBoundedInSize) {
  EXPECT_EQ(shown(objects_.big_integer(std::vector<std::uint32_t>(100, 1), false)),
            "<int of about 3000 bits>");
  const std::string text = shown(objects_.str(std::string(5000, 'x')));
  EXPECT_LT(text.size(), 300U);
  EXPECT_NE(text.find("5000 characters"), std::string::npos);
  const std::vector<Address> many(42, objects_.integer(7));
  EXPECT_EQ(shown(objects_.list(many)), "[7, 7, 7, 7, 7, 7, 7, 7, 7, 7, … 32 more]");
  const std::vector<Address> wide(10, objects_.str(std::string(190, 'y')));
  EXPECT_LE(shown(objects_.tuple(wide)).size(), ValueLimits{}.text + 3);
}

TEST_P(Values, AreBoundedInDepthAndNumber) {
  Address nested = objects_.list({objects_.integer(1)});
  for (int i = 0; i < 5; ++i) nested = objects_.list({nested});
  EXPECT_EQ(shown(nested), "[[[[…]]]]");
  const Address self = objects_.list({objects_.none()});
  objects_.replace_item(self, 0, self);
  EXPECT_EQ(shown(self), "[[…]]");
  ValueLimits few;
  few.objects = 3;
  EXPECT_EQ(shown(objects_.list({objects_.integer(1), objects_.integer(2), objects_.integer(3)}), few),
            "[1, 2, …]");
}

TEST_P(Values, ThatCannotBeReadSaySo) {
  EXPECT_EQ(shown(Address(0x10)), "<unreadable at 0x10>");
  EXPECT_EQ(shown(objects_.list({Address(0x20), objects_.integer(1)})), "[<unreadable at 0x20>, 1]");
  EXPECT_EQ(shown(Address()), "<null>");
  // A length that no list has.
  const Address list = objects_.list({objects_.integer(1)});
  objects_.set(list, objects_.layout().list.ob_size, -1);
  EXPECT_EQ(shown(list).substr(0, 11), "<unreadable");
}

TEST_P(Values, HideSecrets) {
  const Address dict = objects_.dict(
      {{objects_.str("password"), objects_.str("hunter2")}, {objects_.str("user"), objects_.str("bob")}});
  EXPECT_EQ(shown(dict), "{'password': <redacted>, 'user': 'bob'}");
  EXPECT_EQ(shown(objects_.str("http://a:b@c")), "'http://a:<redacted>@c'");
  EXPECT_EQ(shown(objects_.bytes("http://a:b@c")), "b'http://a:<redacted>@c'");
  built_.options.redact = false;
  EXPECT_EQ(shown(dict), "{'password': 'hunter2', 'user': 'bob'}");
  EXPECT_EQ(shown(objects_.str("http://a:b@c")), "'http://a:b@c'");
}

INSTANTIATE_TEST_SUITE_P(Layouts, Values,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.11.7"),
                                         &tests::table_of("3.13.5t"), &tests::table_of("3.14.10")));

TEST(FloatText, IsPythons) {
  const std::vector<std::pair<double, const char*>> cases{
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {0.1, "0.1"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {1e22, "1e+22"},
      {1e-4, "0.0001"},
      {1e-5, "1e-05"},
      {-1.5e-7, "-1.5e-07"},
      {1e100, "1e+100"},
      {5e-324, "5e-324"},
      {123.456, "123.456"},
      {0.00012345, "0.00012345"},
      {INFINITY, "inf"},
      {-INFINITY, "-inf"},
      {NAN, "nan"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {9007199254740993.0, "9007199254740992.0"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(float_text(value), text);
}

TEST(Quoted, ChoosesQuotesAndEscapesAsPythonDoes) {
  EXPECT_EQ(quoted("a"), "'a'");
  EXPECT_EQ(quoted("it's"), "\"it's\"");
  EXPECT_EQ(quoted("'\""), "'\\'\"'");
  EXPECT_EQ(quoted("\\\t\r\x7f"), "'\\\\\\t\\r\\x7f'");
  EXPECT_EQ(quoted("h\xc3\xa9 \xe2\x82\xac"), "'h\xc3\xa9 \xe2\x82\xac'");
  EXPECT_EQ(quoted("\xe2\x80\xae\xc2\x85"), "'\\u202e\\x85'");
  EXPECT_EQ(quoted("\xf3\xa0\x80\x81"), "'\\U000e0001'");
}

}  // namespace
}  // namespace pythreads::pyframes
