#include "pyframes/locks.h"

#include <gtest/gtest.h>

#include "pyframes/lock_layouts.h"
#include "pyframes/sync_objects.h"
#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

constexpr std::uint64_t owner_ident = 0x7f00'1234'5000;

// A stack of the given number of words, which a test fills.
attach::Range make_stack(tests::ObjectBuilder& objects, std::size_t words) {
  const Address at = objects.allocate(words * 8);
  return {at, words * 8};
}

// A lock object of the variant with this size, with the semaphore that it points to.
struct Lock {
  Address object;
  Address word;  // what a waiter sleeps on (semaphores), or the mutex (parked)
};

Lock make_lock(tests::ObjectBuilder& objects, const LockLayout& lock, bool locked, std::uint64_t count = 0,
               const std::string& subclass = "") {
  const auto head = static_cast<std::uint64_t>(objects.layout().object.size);
  Address type = objects.type(std::string(lock.type_name), 0, lock.size + objects.layout().object.size);
  if (!subclass.empty()) type = objects.type(subclass, type_flag::heap_type, 200, type);
  const Address object = objects.object(type, head + 64);
  const Address data = object + head;
  Lock made{object, data};
  if (lock.semaphore.exists()) {
    made.word = objects.allocate(32);
    objects.set(data, lock.semaphore, made.word);
  }
  if (lock.mutex.exists()) objects.set(data, lock.mutex, locked ? 3 : 0);
  objects.set(data, lock.locked, locked ? 1 : 0);
  objects.set(data, lock.owner, owner_ident);
  objects.set(data, lock.count, locked ? count - lock.count_bias : 0);
  return made;
}

void run(BuiltRuntime& built) {
  built.copy_all();
  Reading reading = built.reading();
  fetch_locks(reading, built.copy);
  read_locks(reading, built.copy, built.state);
  read_sync_objects(reading, built.state);
}

// The object that the first thread sleeps on; fails where it sleeps on none.
PySyncObject slept_on(BuiltRuntime& built) {
  const std::optional<PyLockWait>& wait = built.thread(0).lock_wait;
  const PySyncObject* object = wait ? find_sync_object(built.state, wait->object) : nullptr;
  EXPECT_NE(object, nullptr);
  return object != nullptr ? *object : PySyncObject{};
}

const LockLayout& variant(std::string_view name, std::int64_t size) {
  const LockLayout* found = find_lock_layout(name, size);
  EXPECT_NE(found, nullptr);
  return *found;
}

TEST(LockLayouts, AreKnownBySizeAlone) {
  EXPECT_TRUE(variant("_thread.lock", 24).semaphore.exists());
  EXPECT_TRUE(variant("_thread.lock", 8).mutex.exists());
  EXPECT_TRUE(variant("_thread.RLock", 32).semaphore.exists());
  EXPECT_TRUE(variant("_thread.RLock", 24).mutex.exists());
  EXPECT_EQ(find_lock_layout("_thread.lock", 16), nullptr);
  EXPECT_EQ(find_lock_layout("_queue.SimpleQueue", 24), nullptr);
}

class SemaphoreLocks : public testing::TestWithParam<const RuntimeLayout*> {};

TEST_P(SemaphoreLocks, AreFoundOnTheCStackAndVerifiedByTheirPointer) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Lock lock = make_lock(objects, variant("_thread.lock", 24), true);
  const Lock other = make_lock(objects, variant("_thread.lock", 24), true);
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin + 3 * 8, other.object.value);
  objects.memory().put(stack.begin + 20 * 8, lock.object.value);
  built.add_thread(1, 0x1000, lock.word.value, stack);
  run(built);
  const std::optional<PyLockWait>& wait = built.thread(0).lock_wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(slept_on(built).kind, PySyncKind::lock);
  EXPECT_EQ(wait->object, lock.object);
  EXPECT_EQ(wait->word, lock.word);
  EXPECT_EQ(slept_on(built).locked, true);
  EXPECT_EQ(slept_on(built).owner_ident, std::nullopt);
  EXPECT_EQ(wait->rule, "semaphore-on-c-stack");
}

TEST_P(SemaphoreLocks, AreFoundDeepInTheCStackAndNoDeeper) {
  for (const auto& [at, found] : {std::pair{400, true}, std::pair{560, false}}) {
    BuiltRuntime built(*GetParam());
    tests::ObjectBuilder& objects = built.objects;
    const Lock lock = make_lock(objects, variant("_thread.lock", 24), true);
    const attach::Range stack = make_stack(objects, 600);
    objects.memory().put(stack.begin + static_cast<std::uint64_t>(at) * 8, lock.object.value);
    built.add_thread(1, 0x1000, lock.word.value, stack);
    run(built);
    EXPECT_EQ(built.thread(0).lock_wait.has_value(), found) << at;
  }
}

TEST_P(SemaphoreLocks, TellAnRLocksOwnerAndCount) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Lock lock = make_lock(objects, variant("_thread.RLock", 32), true, 3, "bank.AuditedLock");
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin + 8, lock.object.value);
  built.add_thread(1, 0x1000, lock.word.value, stack);
  run(built);
  const std::optional<PyLockWait>& wait = built.thread(0).lock_wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(slept_on(built).kind, PySyncKind::rlock);
  EXPECT_EQ(slept_on(built).locked, true);
  EXPECT_EQ(slept_on(built).owner_ident, owner_ident);
  EXPECT_EQ(slept_on(built).count, 3);
}

TEST_P(SemaphoreLocks, HaveNoOwnerOnceReleased) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Lock lock = make_lock(objects, variant("_thread.RLock", 32), false);
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin, lock.object.value);
  built.add_thread(1, 0x1000, lock.word.value, stack);
  run(built);
  ASSERT_TRUE(built.thread(0).lock_wait);
  EXPECT_EQ(slept_on(built).locked, false);
  EXPECT_EQ(slept_on(built).owner_ident, std::nullopt);
  EXPECT_EQ(slept_on(built).count, std::nullopt);
}

TEST_P(SemaphoreLocks, AreFoundBehindABoundMethod) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Lock lock = make_lock(objects, variant("_thread.lock", 24), true);
  const Address bound = objects.object(objects.type("builtin_function_or_method"), 64);
  objects.set(bound, built.runtime.layout.builtin_function.m_self, lock.object);
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin + 16, bound.value);
  built.add_thread(1, 0x1000, lock.word.value, stack);
  run(built);
  ASSERT_TRUE(built.thread(0).lock_wait);
  EXPECT_EQ(built.thread(0).lock_wait->object, lock.object);
}

TEST_P(SemaphoreLocks, OfAnUnknownSizeAreNotGuessed) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  objects.type("_thread.lock", 0, 80);
  const Lock lock = make_lock(objects, variant("_thread.lock", 24), true);
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin + 8, lock.object.value);
  built.add_thread(1, 0x1000, lock.word.value, stack);
  run(built);
  EXPECT_FALSE(built.thread(0).lock_wait);
  EXPECT_EQ(built.thread(0).gaps.size(), 1U);
}

TEST_P(SemaphoreLocks, AreNotSeenInObjectsOfOtherTypes) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Address word = objects.allocate(32);
  const Address object = objects.object(objects.type("bank.Account"), 64);
  objects.memory().put(object + static_cast<std::uint64_t>(built.runtime.layout.object.size), word.value);
  const attach::Range stack = make_stack(objects, 600);
  objects.memory().put(stack.begin + 8, object.value);
  built.add_thread(1, 0x1000, word.value, stack);
  run(built);
  EXPECT_FALSE(built.thread(0).lock_wait);
  EXPECT_TRUE(built.thread(0).gaps.empty());
}

// Of a frame whose code has one variable and two slots on its value stack.
TEST_P(SemaphoreLocks, AreFoundInTheSlotsOfTheInnermostFrame) {
  const RuntimeLayout& layout = *GetParam();
  for (const bool in_variable : {false, true}) {
    BuiltRuntime built(layout);
    tests::ObjectBuilder& objects = built.objects;
    const Lock lock = make_lock(objects, variant("_thread.lock", 24), true);
    const Address code = objects.object(objects.type("code"), static_cast<std::uint64_t>(layout.code.size));
    objects.set(code, layout.code.co_nlocals, 1);
    objects.set(code, layout.code.co_nlocalsplus, 1);
    objects.set(code, layout.code.co_stacksize, 2);
    const Address frame = objects.allocate(1024);
    const PointerField localsplus = layout.interpreter_frame.localsplus.exists()
                                        ? layout.interpreter_frame.localsplus
                                        : layout.frame_object.f_localsplus;
    objects.memory().put(frame + static_cast<std::uint64_t>(localsplus.offset) + (in_variable ? 0 : 16),
                         lock.object.value);
    built.add_thread(1, 0x1000, lock.word.value, make_stack(objects, 600));
    built.copy_all();
    built.copy.interpreters[0].threads[0].frames.push_back({.address = frame, .code = code, .frame = {}});
    Reading reading = built.reading();
    read_locks(reading, built.copy, built.state);
    ASSERT_TRUE(built.thread(0).lock_wait);
    EXPECT_EQ(built.thread(0).lock_wait->rule,
              in_variable ? "semaphore-in-variable" : "semaphore-on-value-stack");
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, SemaphoreLocks,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.10.13"),
                                         &tests::table_of("3.11.7"), &tests::table_of("3.13.0")));

class ParkedLocks : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  // A thread parked on `addr`: its wait_entry lies on its own stack, in the list of a bucket.
  void park(Address addr, bool in_list = true) {
    const auto& fields = GetParam()->wait_entry;
    const attach::Range stack = make_stack(objects_, 600);
    const Address entry = stack.begin + 160;
    const Address bucket = objects_.allocate(32);
    const Address node = entry + static_cast<std::uint64_t>(fields.next.offset);
    objects_.set(entry, fields.addr, addr);
    objects_.set(entry, fields.next, bucket);
    objects_.set(entry, fields.prev, bucket);
    if (in_list) {
      objects_.memory().put(bucket, node.value);
      objects_.memory().put(bucket + 8, node.value);
    }
    built_.add_thread(1, 0x1000, entry.value + static_cast<std::uint64_t>(fields.sema.offset), stack);
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
};

TEST_P(ParkedLocks, AreNamedByTheWaitEntry) {
  const Lock lock = make_lock(objects_, variant("_thread.lock", 8), true);
  park(lock.word);
  run(built_);
  const std::optional<PyLockWait>& wait = built_.thread(0).lock_wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::lock);
  EXPECT_EQ(wait->object, lock.object);
  EXPECT_EQ(wait->word, lock.word);
  EXPECT_EQ(slept_on(built_).locked, true);
  EXPECT_EQ(wait->rule, "parking-lot");
}

TEST_P(ParkedLocks, TellAnRLocksOwnerAndCount) {
  const Lock lock = make_lock(objects_, variant("_thread.RLock", 24), true, 2);
  park(lock.word);
  run(built_);
  const std::optional<PyLockWait>& wait = built_.thread(0).lock_wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::rlock);
  EXPECT_EQ(slept_on(built_).owner_ident, owner_ident);
  EXPECT_EQ(slept_on(built_).count, 2);
}

TEST_P(ParkedLocks, AreNotBelievedWhenTheNeighboursDoNotPointBack) {
  const Lock lock = make_lock(objects_, variant("_thread.lock", 8), true);
  park(lock.word, false);
  run(built_);
  EXPECT_FALSE(built_.thread(0).lock_wait);
}

TEST_P(ParkedLocks, AreNoLocksWhereNothingIsKnownOfTheObject) {
  const Address object = objects_.object(objects_.type("_queue.SimpleQueue"), 128);
  park(object + static_cast<std::uint64_t>(GetParam()->object.size));
  run(built_);
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::pymutex);
  EXPECT_EQ(built_.thread(0).lock_wait->rule, "parked-on-mutex");
}

class ParkedInFreeThreads : public ParkedLocks {
 protected:
  Address type_object(const std::string& name) {
    const Address metatype = objects_.type("type", type_flag::type_subclass);
    const Address type = objects_.type(name, 0, 64);
    objects_.set(type, GetParam()->object.ob_type, metatype);
    return type;
  }
};

TEST_P(ParkedInFreeThreads, TheMutexOfAnObjectIsNamedByTheObject) {
  const Address object = objects_.object(type_object("collections.deque"), 64);
  objects_.memory().put<std::uint8_t>(object + 10, 3);
  park(object + 10);
  run(built_);
  ASSERT_TRUE(built_.thread(0).lock_wait);
  EXPECT_EQ(built_.thread(0).lock_wait->rule, "parked-on-object-mutex");
  EXPECT_EQ(built_.thread(0).lock_wait->object, object);
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::object_mutex);
  EXPECT_EQ(slept_on(built_).type_name, "collections.deque");
  EXPECT_EQ(slept_on(built_).locked, true);
}

TEST_P(ParkedInFreeThreads, AMutexWhereNoTypeBearsOutAnObjectIsAMutexAlone) {
  const Address object = objects_.object(objects_.type("no.type"), 64);
  park(object + 10);
  run(built_);
  EXPECT_EQ(built_.thread(0).lock_wait->rule, "parked-on-mutex");
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::pymutex);
  EXPECT_EQ(slept_on(built_).address, object + 10);
}

TEST_P(ParkedInFreeThreads, TheEventOfAStopIsNotItsRequestersOwn) {
  const auto& fields = GetParam()->interpreter;
  park(built_.interpreter + static_cast<std::uint64_t>(fields.stoptheworld_stop_event.offset));
  objects_.set(built_.interpreter, fields.stoptheworld_requester, built_.tstates[0]);
  run(built_);
  ASSERT_TRUE(built_.thread(0).lock_wait);
  EXPECT_EQ(built_.thread(0).lock_wait->rule, "parked-on-stop-event");
  EXPECT_EQ(slept_on(built_).kind, PySyncKind::stop_event);
  EXPECT_EQ(slept_on(built_).owner_ident, std::nullopt);
  EXPECT_NE(slept_on(built_).address, built_.interpreter);
}

TEST_P(ParkedInFreeThreads, WhoStopsTheWorldWaitsForAThreadThatIsAttached) {
  const auto& fields = GetParam()->interpreter;
  const Address other = built_.add_thread(2, 0x2000);
  objects_.set(other, GetParam()->thread_state.state, 1);
  park(built_.interpreter + static_cast<std::uint64_t>(fields.stoptheworld_stop_event.offset));
  run(built_);
  const std::optional<PyLockWait>& wait = built_.thread(1).lock_wait;
  ASSERT_TRUE(wait);
  const PySyncObject* object = find_sync_object(built_.state, wait->object);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(object->kind, PySyncKind::stop_event);
  EXPECT_EQ(object->owner_ident, 0x2000U);
}

TEST_P(ParkedInFreeThreads, ASuspendedThreadWaitsForWhoStopsTheWorld) {
  const Address requester = built_.add_thread(2, 0x2000);
  // Parked on its own state, which stands once there is a thread state: the second one here.
  const auto& fields = GetParam()->wait_entry;
  park(Address());
  const Address entry = Address(built_.target.threads[1].kernel_wait->arguments[0]) -
                        static_cast<std::uint64_t>(fields.sema.offset);
  objects_.set(entry, fields.addr,
               built_.tstates[1] + static_cast<std::uint64_t>(GetParam()->thread_state.state.offset));
  objects_.set(built_.interpreter, GetParam()->interpreter.stoptheworld_requester, requester);
  objects_.memory().put<std::uint8_t>(
      built_.interpreter + static_cast<std::uint64_t>(GetParam()->interpreter.stoptheworld_requested.offset),
      1);
  run(built_);
  const std::optional<PyLockWait>& wait = built_.thread(1).lock_wait;
  ASSERT_TRUE(wait);
  EXPECT_EQ(wait->rule, "parked-on-own-state");
  const PySyncObject* object = find_sync_object(built_.state, wait->object);
  ASSERT_NE(object, nullptr);
  EXPECT_EQ(object->owner_ident, 0x2000U);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ParkedInFreeThreads,
                         testing::Values(&tests::table_of("3.13.5t"), &tests::table_of("3.14.10t")));

INSTANTIATE_TEST_SUITE_P(Layouts, ParkedLocks,
                         testing::Values(&tests::table_of("3.13.5"), &tests::table_of("3.13.5t"),
                                         &tests::table_of("3.14.10"), &tests::table_of("3.14.10t")));

}  // namespace
}  // namespace pythreads::pyframes
