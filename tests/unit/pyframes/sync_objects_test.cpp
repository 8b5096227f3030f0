#include "pyframes/sync_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "pyframes/lock_layouts.h"
#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

using Attributes = std::vector<std::pair<std::string, Address>>;

class SyncObjects : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  // A class of Python in a module; its instances have a dict.
  Address make_class(const std::string& module, const std::string& name, Address base = Address()) {
    const bool before = GetParam()->attribute_style != AttributeStyle::dict_offset;
    const Address at =
        objects_.type(name, type_flag::heap_type | (before ? type_flag::managed_dict : 0), 64, base);
    objects_.set(at, GetParam()->heap_type.ht_qualname, objects_.str(name));
    objects_.set(at, GetParam()->type.tp_dict,
                 objects_.dict({{objects_.str("__module__"), objects_.str(module)}}));
    return at;
  }
  Address instance(const std::string& module, const std::string& name, const Attributes& attributes) {
    make_class(module, name);
    return instance_of(name, attributes);
  }
  Address instance_of(const std::string& name, const Attributes& attributes) {
    std::vector<std::pair<Address, Address>> entries;
    for (const auto& [key, value] : attributes) entries.emplace_back(objects_.str(key), value);
    return objects_.instance(name, objects_.dict(entries));
  }
  std::uint64_t head() const { return static_cast<std::uint64_t>(GetParam()->object.size); }
  Address native(const std::string& name, std::int64_t size_without_head) {
    return objects_.object(objects_.type(name, 0, size_without_head + GetParam()->object.size), head() + 256);
  }
  Address parked_lock(bool locked) {
    const Address lock = native("_thread.lock", 8);
    objects_.memory().put<std::uint8_t>(lock + head(), locked ? 1 : 0);
    return lock;
  }
  PySyncObject describe(Address object) {
    const PySyncObject* described = describe_sync_object(reading_, object);
    EXPECT_NE(described, nullptr);
    return described != nullptr ? *described : PySyncObject{};
  }
  static std::string text_detail(const PySyncObject& object, const std::string& name) {
    for (const PySyncDetail& each : object.detail) {
      if (each.name == name && std::holds_alternative<std::string>(each.value))
        return std::get<std::string>(each.value);
    }
    return "";
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
  Reading reading_ = built_.reading();
};

TEST_P(SyncObjects, AConditionLeadsToItsLock) {
  const Address lock = parked_lock(true);
  const Address waiters = objects_.list({objects_.none(), objects_.none()});
  const Address at = instance("threading", "Condition", {{"_lock", lock}, {"_waiters", waiters}});
  const PySyncObject object = describe(at);
  EXPECT_EQ(object.kind, PySyncKind::condition);
  EXPECT_EQ(object.type_name, "threading.Condition");
  EXPECT_EQ(object.lock, lock);
  EXPECT_EQ(object.count, 2);
  EXPECT_EQ(describe(lock).locked, true);
}

TEST_P(SyncObjects, AnEventLeadsToTheLockOfItsCondition) {
  const Address lock = parked_lock(false);
  const Address condition = instance("threading", "Condition", {{"_lock", lock}});
  const Address at =
      instance("threading", "Event", {{"_cond", condition}, {"_flag", objects_.boolean(false)}});
  const PySyncObject object = describe(at);
  EXPECT_EQ(object.kind, PySyncKind::event);
  EXPECT_EQ(object.lock, lock);
  ASSERT_EQ(object.detail.size(), 1U);
  EXPECT_EQ(std::get<bool>(object.detail[0].value), false);
}

TEST_P(SyncObjects, ABoundedSemaphoreIsNoSemaphoreOfItsBase) {
  const Address semaphore = make_class("threading", "Semaphore");
  make_class("threading", "BoundedSemaphore", semaphore);
  const PySyncObject object = describe(instance_of(
      "BoundedSemaphore", {{"_value", objects_.integer(0)}, {"_initial_value", objects_.integer(4)}}));
  EXPECT_EQ(object.kind, PySyncKind::bounded_semaphore);
  EXPECT_EQ(object.count, 0);
  EXPECT_EQ(object.capacity, 4);
  EXPECT_EQ(object.locked, true);
}

TEST_P(SyncObjects, ASubclassIsOfItsBasesKindUnderItsOwnName) {
  make_class("bank", "AuditedQueue", make_class("queue", "Queue"));
  const Address mutex = parked_lock(false);
  const PySyncObject object = describe(instance_of(
      "AuditedQueue",
      {{"mutex", mutex}, {"maxsize", objects_.integer(5)}, {"unfinished_tasks", objects_.integer(3)}}));
  EXPECT_EQ(object.kind, PySyncKind::queue);
  EXPECT_EQ(object.type_name, "bank.AuditedQueue");
  EXPECT_EQ(object.capacity, 5);
  EXPECT_EQ(object.lock, mutex);
  EXPECT_EQ(object.count, std::nullopt);
}

TEST_P(SyncObjects, AClassOfTheSameNameElsewhereIsNone) {
  EXPECT_EQ(describe_sync_object(reading_, instance("bank", "Condition", {{"_lock", parked_lock(true)}})),
            nullptr);
  EXPECT_EQ(describe_sync_object(reading_, objects_.str("no lock")), nullptr);
  EXPECT_EQ(describe_sync_object(reading_, Address()), nullptr);
  EXPECT_EQ(describe_sync_object(reading_, Address(0x7000'0000'0001)), nullptr);
  EXPECT_EQ(describe_sync_object(reading_, Address(0x7000'0000'0000)), nullptr);
}

TEST_P(SyncObjects, ABarrierTellsWhoIsMissing) {
  const PySyncObject object = describe(instance("threading", "Barrier",
                                                {{"_parties", objects_.integer(3)},
                                                 {"_count", objects_.integer(2)},
                                                 {"_state", objects_.integer(-2)}}));
  EXPECT_EQ(object.kind, PySyncKind::barrier);
  EXPECT_EQ(object.capacity, 3);
  EXPECT_EQ(object.count, 2);
  const auto broken = std::find_if(object.detail.begin(), object.detail.end(),
                                   [](const PySyncDetail& each) { return each.name == "broken"; });
  ASSERT_NE(broken, object.detail.end());
  EXPECT_EQ(std::get<bool>(broken->value), true);
}

TEST_P(SyncObjects, AFuturesStateSaysWhetherItIsDone) {
  const std::vector<std::pair<std::string, bool>> states{{"PENDING", false},
                                                         {"RUNNING", false},
                                                         {"FINISHED", true},
                                                         {"CANCELLED", true},
                                                         {"CANCELLED_AND_NOTIFIED", true}};
  for (const auto& [state, finished] : states) {
    const PySyncObject object =
        describe(instance("concurrent.futures._base", "Future", {{"_state", objects_.str(state)}}));
    EXPECT_EQ(object.kind, PySyncKind::future);
    EXPECT_EQ(object.finished, finished) << state;
    EXPECT_EQ(text_detail(object, "state"), state);
  }
  EXPECT_EQ(describe(instance_of("Future", {})).finished, std::nullopt);
}

TEST_P(SyncObjects, AnImportLockTellsModuleAndOwner) {
  const Attributes held{{"name", objects_.str("bank.accounts")},
                        {"owner", objects_.integer(0x7f00'1234'5000)},
                        {"count", objects_.integer(1)}};
  const PySyncObject object = describe(instance("_frozen_importlib", "_ModuleLock", held));
  EXPECT_EQ(object.kind, PySyncKind::module_lock);
  EXPECT_EQ(object.module, "bank.accounts");
  EXPECT_EQ(object.owner_ident, 0x7f00'1234'5000U);
  EXPECT_EQ(object.count, 1);
  EXPECT_EQ(object.locked, true);
  // From 3.12 on the count is a list, and who owns nothing is None.
  const PySyncObject free = describe(
      instance_of("_ModuleLock", {{"owner", objects_.none()}, {"count", objects_.list({objects_.none()})}}));
  EXPECT_EQ(free.owner_ident, std::nullopt);
  EXPECT_EQ(free.count, 1);
  EXPECT_EQ(free.locked, false);
}

TEST_P(SyncObjects, ASemaphoreBetweenProcessesTellsAnOwnerOnlyWhileThisProcessHasIt) {
  for (const std::int32_t count : {0, 1}) {
    const Address at = native("_multiprocessing.SemLock", 40);
    const Address handle = objects_.allocate(32);  // its value: 0
    objects_.set(at + head(), sem_lock_layout.handle, handle);
    objects_.set(at + head(), sem_lock_layout.last_tid, 0x1000);
    objects_.set(at + head(), sem_lock_layout.count, count);
    objects_.set(at + head(), sem_lock_layout.name, objects_.text("/mp-a1"));
    const PySyncObject object = describe(at);
    EXPECT_EQ(object.kind, PySyncKind::sem_lock);
    EXPECT_EQ(object.locked, true);
    EXPECT_EQ(object.owner_ident.has_value(), count > 0);
    EXPECT_EQ(text_detail(object, "semaphore"), "/mp-a1");
  }
}

TEST_P(SyncObjects, AStreamIsOwnedByWhoIsInsideOfIt) {
  const Address at = native("_io.BufferedWriter", 120);
  EXPECT_EQ(describe(at).owner_ident, std::nullopt);
  EXPECT_EQ(describe(at).locked, false);
  const Address other = native("_io.BufferedWriter", 120);
  objects_.set(other + head(), buffered_layout.owner, 0x2000);
  EXPECT_EQ(describe(other).owner_ident, 0x2000U);
  EXPECT_EQ(describe(other).locked, true);
}

TEST_P(SyncObjects, ALockOfAnUnknownSizeIsNeitherLockedNorFree) {
  const PySyncObject object = describe(native("_thread.lock", 72));
  EXPECT_EQ(object.kind, PySyncKind::lock);
  EXPECT_EQ(object.locked, std::nullopt);
}

TEST_P(SyncObjects, AnAttributeOfAnotherTypeIsNotBelieved) {
  const PySyncObject object =
      describe(instance("threading", "Semaphore", {{"_value", objects_.str("many")}}));
  EXPECT_EQ(object.count, std::nullopt);
  EXPECT_EQ(object.locked, std::nullopt);
}

TEST_P(SyncObjects, ACircleOfConditionsHasNoLock) {
  make_class("threading", "Condition");
  const Address key = objects_.str("_lock");
  const Address slots = objects_.dict({{key, objects_.none()}});
  const Address circle = objects_.instance("Condition", slots);
  // An instance whose _lock is the Condition itself.
  const Address itself = objects_.dict({{key, circle}});
  const std::uint64_t distance = GetParam()->free_threaded ? 8 : 24;
  const bool before = GetParam()->attribute_style != AttributeStyle::dict_offset;
  objects_.memory().put(before ? circle - distance : circle + 16, itself.value);
  EXPECT_TRUE(describe(circle).lock.is_null());
}

TEST_P(SyncObjects, ACircleOfBasesEnds) {
  const Address one = make_class("bank", "One");
  const Address two = make_class("bank", "Two", one);
  objects_.set(one, GetParam()->type.tp_base, two);
  EXPECT_EQ(describe_sync_object(reading_, instance_of("Two", {})), nullptr);
}

TEST_P(SyncObjects, AQueueWhoseItemsLieGivesNoLength) {
  const Address deque = objects_.object(objects_.type("collections.deque"), 128);
  objects_.set(deque, GetParam()->list.ob_size, -5);
  EXPECT_EQ(describe(instance("queue", "Queue", {{"queue", deque}})).count, std::nullopt);
}

TEST_P(SyncObjects, OfAStateAreAllThatItsThreadsReferToAndTheirLocks) {
  const Address lock = parked_lock(false);
  const Address condition = instance("threading", "Condition", {{"_lock", lock}});
  const Address event = instance("threading", "Event", {{"_cond", condition}});
  const Address held = parked_lock(true);
  const Address unused = parked_lock(true);
  built_.add_thread(1, 0x1000);
  built_.copy_all();
  built_.thread(0).frame_objects.push_back({0, "self", event});
  built_.thread(0).frame_objects.push_back({1, "self", event});
  PyHeldLock hold;
  hold.object = held;
  built_.thread(0).held.push_back(hold);
  read_sync_objects(reading_, built_.state);
  EXPECT_EQ(built_.state.sync_objects.size(), 3U);
  for (const Address each : {lock, event, held}) EXPECT_NE(find_sync_object(built_.state, each), nullptr);
  EXPECT_EQ(find_sync_object(built_.state, unused), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Layouts, SyncObjects,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.10.13"),
                                         &tests::table_of("3.11.7"), &tests::table_of("3.13.5"),
                                         &tests::table_of("3.13.5t"), &tests::table_of("3.14.10")));

}  // namespace
}  // namespace pythreads::pyframes
