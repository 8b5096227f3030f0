#include "pyframes/gil.h"

#include <gtest/gtest.h>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

// The GIL of a runtime of the layout, reached as its version reaches it.
Address make_gil(BuiltRuntime& built) {
  const RuntimeLayout& layout = built.runtime.layout;
  if (layout.runtime.ceval_gil.exists())
    return built.runtime.address + static_cast<std::uint64_t>(layout.runtime.ceval_gil.offset);
  const Address gil = built.objects.allocate(static_cast<std::uint64_t>(layout.gil.size));
  built.objects.set(built.interpreter, layout.interpreter.ceval_gil, gil);
  return gil;
}

class Gil : public testing::TestWithParam<const RuntimeLayout*> {};

TEST_P(Gil, NamesHolderAndWaitersByTheWordsTheySleepOn) {
  BuiltRuntime built(*GetParam());
  const RuntimeLayout& layout = built.runtime.layout;
  const Address gil = make_gil(built);
  const auto in = [&](Field<char> field, std::uint64_t offset) {
    return gil.value + static_cast<std::uint64_t>(field.offset) + offset;
  };
  const Address holder = built.add_thread(10, 0x1000);
  built.add_thread(11, 0x2000, in(layout.gil.cond, 40));
  built.add_thread(12, 0x3000, in(layout.gil.mutex, 0));
  built.add_thread(13, 0x4000, in(layout.gil.switch_cond, 8));
  built.add_thread(14, 0x5000, gil.value + static_cast<std::uint64_t>(layout.gil.size));
  built.add_thread(15, 0x6000, in(layout.gil.cond, 0) - 4);
  built.objects.set(gil, layout.gil.last_holder, holder);
  built.objects.set(gil, layout.gil.locked, 1);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);

  const std::optional<PyGil>& found = built.state.interpreters[0].gil;
  ASSERT_TRUE(found);
  EXPECT_EQ(built.state.interpreters[0].gil_gap, "");
  EXPECT_TRUE(found->locked);
  EXPECT_EQ(found->holder, holder);
  EXPECT_EQ(found->holder_tid, 10);
  EXPECT_FALSE(found->handing_over);
  EXPECT_TRUE(built.thread(0).holds_gil);
  const std::vector<bool> waits{false, true, true, true, false, false};
  for (std::size_t i = 0; i < waits.size(); ++i) {
    EXPECT_EQ(built.thread(i).waits_for_gil, waits[i]) << i;
    EXPECT_EQ(built.thread(i).gil_evidence.empty(), !waits[i] && i != 0) << i;
  }
}

TEST_P(Gil, TellsAHandOverFromAWait) {
  BuiltRuntime built(*GetParam());
  const RuntimeLayout& layout = built.runtime.layout;
  const Address gil = make_gil(built);
  const Address holder =
      built.add_thread(10, 0x1000, gil.value + static_cast<std::uint64_t>(layout.gil.cond.offset));
  built.objects.set(gil, layout.gil.last_holder, holder);
  built.objects.set(gil, layout.gil.locked, 1);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  ASSERT_TRUE(built.state.interpreters[0].gil);
  EXPECT_TRUE(built.state.interpreters[0].gil->handing_over);
  EXPECT_TRUE(built.thread(0).holds_gil);
  EXPECT_FALSE(built.thread(0).waits_for_gil);
}

TEST_P(Gil, HasNoHolderWhileItIsNotLocked) {
  BuiltRuntime built(*GetParam());
  const Address gil = make_gil(built);
  const Address last = built.add_thread(10, 0x1000);
  built.objects.set(gil, built.runtime.layout.gil.last_holder, last);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  ASSERT_TRUE(built.state.interpreters[0].gil);
  EXPECT_FALSE(built.state.interpreters[0].gil->locked);
  EXPECT_TRUE(built.state.interpreters[0].gil->holder.is_null());
  EXPECT_FALSE(built.thread(0).holds_gil);
}

TEST_P(Gil, SaysWhenTheHolderIsUnknown) {
  BuiltRuntime built(*GetParam());
  const Address gil = make_gil(built);
  built.add_thread(10, 0x1000);
  built.objects.set(gil, built.runtime.layout.gil.last_holder, Address(0xdead0000));
  built.objects.set(gil, built.runtime.layout.gil.locked, 1);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  ASSERT_TRUE(built.state.interpreters[0].gil);
  EXPECT_TRUE(built.state.interpreters[0].gil->locked);
  EXPECT_EQ(built.state.interpreters[0].gil->holder_tid, 0);
  EXPECT_NE(built.state.interpreters[0].gil_gap.find("0xdead0000"), std::string::npos);
}

TEST_P(Gil, IsNotClaimedBeforeItIsMade) {
  BuiltRuntime built(*GetParam());
  const Address gil = make_gil(built);
  built.objects.set(gil, built.runtime.layout.gil.locked, -1);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  EXPECT_FALSE(built.state.interpreters[0].gil);
  EXPECT_NE(built.state.interpreters[0].gil_gap, "");
}

INSTANTIATE_TEST_SUITE_P(Layouts, Gil,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.11.7"),
                                         &tests::table_of("3.13.5"), &tests::table_of("3.14.10")));

TEST(GilOfFreeThreadedBuilds, IsNoneWhileItIsOff) {
  BuiltRuntime built(tests::table_of("3.13.5t"));
  ASSERT_TRUE(built.runtime.layout.gil.enabled.exists());
  const Address gil = make_gil(built);
  built.objects.set(gil, built.runtime.layout.gil.enabled, 0);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  EXPECT_FALSE(built.state.interpreters[0].gil);
  EXPECT_EQ(built.state.interpreters[0].gil_gap, "");
}

TEST(GilOf315, IsWaitedForByAThreadBetweenTwoFutexCalls) {
  BuiltRuntime built(tests::table_of("3.15.2"));
  const Address gil = make_gil(built);
  const Address holder = built.add_thread(10, 0x1000);
  const Address waiter = built.add_thread(11, 0x2000);
  built.add_thread(12, 0x3000);
  built.objects.set(gil, built.runtime.layout.gil.last_holder, holder);
  built.objects.set(gil, built.runtime.layout.gil.locked, 1);
  built.objects.set(waiter, built.runtime.layout.thread_state.gil_requested, 1);
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  ASSERT_TRUE(built.state.interpreters[0].gil);
  EXPECT_FALSE(built.state.interpreters[0].gil->handing_over);
  EXPECT_FALSE(built.thread(0).waits_for_gil);
  EXPECT_TRUE(built.thread(1).waits_for_gil);
  EXPECT_FALSE(built.thread(2).waits_for_gil);
}

TEST(GilThatCannotBeRead, LeavesAGap) {
  BuiltRuntime built(tests::table_of("3.14.10"));
  built.objects.set(built.interpreter, built.runtime.layout.interpreter.ceval_gil, Address(0x10));
  built.copy_all();
  Reading reading = built.reading();
  read_gil(reading, built.copy, built.state);
  EXPECT_FALSE(built.state.interpreters[0].gil);
  EXPECT_NE(built.state.interpreters[0].gil_gap, "");
}

}  // namespace
}  // namespace pythreads::pyframes
