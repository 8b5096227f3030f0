#include "attach/memory.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

using tests::FakeMemory;

TEST(Memory, ReadsAValue) {
  FakeMemory memory;
  memory.put(Address(0x1000), std::uint64_t{42});
  const Result<std::uint64_t> value = memory.read_value<std::uint64_t>(Address(0x1000));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 42u);
}

TEST(Memory, AReadThatEndsTooSoonNamesWhereItEnded) {
  FakeMemory memory;
  memory.put(Address(0x1000), std::uint32_t{42});
  const Result<std::uint64_t> value = memory.read_value<std::uint64_t>(Address(0x1000));
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::unreadable);
  EXPECT_NE(value.error().message.find("0x1004"), std::string::npos) << value.error().message;
}

TEST(Memory, ANullPointerIsAValueAndAFailedReadIsNot) {
  FakeMemory memory;
  memory.put(Address(0x1000), std::uint64_t{0});
  const Result<Address> null = memory.read_address(Address(0x1000));
  ASSERT_TRUE(null);
  EXPECT_TRUE(null->is_null());
  EXPECT_FALSE(memory.read_address(Address(0x2000)));
}

TEST(Memory, ReadsAStringThatIsTheLastThingOfItsPage) {
  FakeMemory memory;
  memory.put_c_string(Address(0x1ffc), "abc");
  const Result<std::string> text = memory.read_c_string(Address(0x1ffc), 4096);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "abc");
}

TEST(Memory, ReadsAStringOverSeveralBlocks) {
  FakeMemory memory;
  const std::string long_text(1000, 'x');
  memory.put_c_string(Address(0x10f0), long_text);
  const Result<std::string> text = memory.read_c_string(Address(0x10f0), 4096);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, long_text);
}

TEST(Memory, AStringWithoutAnEndIsAnError) {
  FakeMemory memory;
  memory.put_bytes(Address(0x1000), std::as_bytes(std::span("abcdef", 6)));
  const Result<std::string> cut = memory.read_c_string(Address(0x1000), 4096);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::unreadable);
  const Result<std::string> too_long = memory.read_c_string(Address(0x1000), 6);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::corrupt);
}

TEST(ErrorCodeName, EveryCodeHasItsOwnName) {
  const std::array codes = {ErrorCode::wrong_usage,   ErrorCode::not_python,      ErrorCode::no_such_process,
                            ErrorCode::process_ended, ErrorCode::zombie,          ErrorCode::unsupported,
                            ErrorCode::unreadable,    ErrorCode::corrupt,         ErrorCode::internal,
                            ErrorCode::output_failed, ErrorCode::deadline_passed, ErrorCode::not_permitted,
                            ErrorCode::already_traced};
  for (const ErrorCode a : codes) {
    for (const ErrorCode b : codes) EXPECT_EQ(a == b, error_code_name(a) == error_code_name(b));
  }
}

}  // namespace
}  // namespace pythreads::attach
