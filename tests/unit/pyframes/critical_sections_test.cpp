#include "pyframes/critical_sections.h"

#include <gtest/gtest.h>

#include "pyframes/hold_rules.h"
#include "pyframes/sync_objects.h"
#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

class CriticalSections : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  Address object(const std::string& type_name, bool locked = true) {
    const Address metatype = objects_.type("type", type_flag::type_subclass);
    const Address type = objects_.type(type_name, 0, 64);
    objects_.set(type, GetParam()->object.ob_type, metatype);
    const Address at = objects_.object(type, 128);
    objects_.memory().put<std::uint8_t>(at + 10, locked ? 1 : 0);
    return at;
  }
  Address section(std::uint64_t previous, Address mutex, Address mutex2 = Address()) {
    const Address at = objects_.allocate(24);
    objects_.memory().put(at, previous);
    objects_.memory().put(at + 8, mutex.value);
    objects_.memory().put(at + 16, mutex2.value);
    return at;
  }
  void add_thread(std::uint64_t tag) {
    const Address tstate = built_.add_thread(1, 0x1000);
    objects_.set(tstate, GetParam()->thread_state.critical_section, tag);
  }
  std::vector<PyHeldLock>& run() {
    built_.copy_all();
    Reading reading = built_.reading();
    read_critical_sections(reading, built_.copy, built_.state);
    read_sync_objects(reading, built_.state);
    return built_.thread(0).held;
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
};

TEST_P(CriticalSections, AreHeldUpToTheFirstInactiveOne) {
  const Address outer = object("list"), middle = object("collections.deque"), inner = object("dict");
  const Address first = section(0, outer + 10);
  const Address second = section(first.value | 1, middle + 10);
  add_thread(section(second.value, inner + 10).value);
  const std::vector<PyHeldLock>& held = run();
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[0].object, inner);
  EXPECT_EQ(held[1].object, middle);
  EXPECT_EQ(held[0].trust, PyHoldTrust::certain);
  EXPECT_EQ(held[0].rule, hold_rule::critical_section);
  const PySyncObject* described = find_sync_object(built_.state, middle);
  ASSERT_NE(described, nullptr);
  EXPECT_EQ(described->kind, PySyncKind::object_mutex);
  EXPECT_EQ(described->type_name, "collections.deque");
}

TEST_P(CriticalSections, OfABlockedThreadAreGivenBack) {
  add_thread(section(0, object("list") + 10).value | 1);
  EXPECT_TRUE(run().empty());
}

TEST_P(CriticalSections, MayHaveTwoMutexes) {
  const Address one = object("list"), two = object("dict");
  add_thread(section(0, one + 10, two + 10).value | 2);
  const std::vector<PyHeldLock>& held = run();
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[0].object, one);
  EXPECT_EQ(held[1].object, two);
}

TEST_P(CriticalSections, OfOneMutexHaveNoSecondOne) {
  const Address one = object("list"), stale = object("dict");
  add_thread(section(0, one + 10, stale + 10).value);
  EXPECT_EQ(run().size(), 1U);
}

TEST_P(CriticalSections, BeingEnteredOrLeftHoldNothing) {
  const Address unlocked = object("list", false);
  add_thread(section(section(0, unlocked + 10).value, Address()).value);
  EXPECT_TRUE(run().empty());
}

TEST_P(CriticalSections, OfAMutexInNoObjectNameTheMutex) {
  const Address mutex = objects_.allocate(64) + 3;
  objects_.memory().put<std::uint8_t>(mutex, 1);
  add_thread(section(0, mutex).value);
  const std::vector<PyHeldLock>& held = run();
  ASSERT_EQ(held.size(), 1U);
  const PySyncObject* described = find_sync_object(built_.state, mutex);
  ASSERT_NE(described, nullptr);
  EXPECT_EQ(described->kind, PySyncKind::pymutex);
}

// What waits inside of the queue and what waits for its mutex are two things.
TEST_P(CriticalSections, OfASynchronizationObjectDoNotReplaceIt) {
  const Address queue = object("_queue.SimpleQueue");
  add_thread(section(0, queue + 10).value);
  built_.copy_all();
  Reading reading = built_.reading();
  ASSERT_NE(describe_sync_object(reading, queue), nullptr);
  read_critical_sections(reading, built_.copy, built_.state);
  ASSERT_EQ(built_.thread(0).held.size(), 1U);
  EXPECT_EQ(built_.thread(0).held[0].object, queue + 10);
  EXPECT_EQ(describe_sync_object(reading, queue)->kind, PySyncKind::simple_queue);
  EXPECT_EQ(describe_sync_object(reading, queue + 10)->kind, PySyncKind::object_mutex);
}

TEST_P(CriticalSections, InACircleEnd) {
  const Address list = object("list");
  const Address circle = section(0, list + 10);
  objects_.memory().put(circle, circle.value);
  add_thread(circle.value);
  EXPECT_EQ(run().size(), 1U);
  EXPECT_EQ(built_.thread(0).gaps.size(), 1U);
}

TEST_P(CriticalSections, ThatCannotBeReadAreAGap) {
  add_thread(0x7000'0000'0000);
  EXPECT_TRUE(run().empty());
  EXPECT_EQ(built_.thread(0).gaps.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Layouts, CriticalSections,
                         testing::Values(&tests::table_of("3.13.5t"), &tests::table_of("3.14.10t")));

TEST(CriticalSectionsWithTheGil, AreNotLookedFor) {
  BuiltRuntime built(tests::table_of("3.13.5"));
  const Address tstate = built.add_thread(1, 0x1000);
  built.objects.set(tstate, tests::table_of("3.13.5").thread_state.critical_section, 0x7000'0000'0000U);
  built.copy_all();
  Reading reading = built.reading();
  read_critical_sections(reading, built.copy, built.state);
  EXPECT_TRUE(built.thread(0).held.empty());
  EXPECT_TRUE(built.thread(0).gaps.empty());
}

}  // namespace
}  // namespace pythreads::pyframes
