#include "pyframes/thread_ids.h"

#include <gtest/gtest.h>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

void match(BuiltRuntime& built) {
  built.copy_all();
  Reading reading = built.reading();
  match_os_threads(reading, built.copy);
  read_thread_ids(reading, built.copy, built.state);
}

// What glibc has where pthread_self() is.
void put_pthread(BuiltRuntime& built, std::uint64_t ident, std::uint32_t tid) {
  built.objects.memory().map({Address(ident), 1024});
  built.objects.memory().put(Address(ident), ident);
  built.objects.memory().put(Address(ident) + 16, ident);
  built.objects.memory().put(Address(ident) + 720, tid);
}

TEST(ThreadIds, JoinByFsBaseInAnyPidNamespace) {
  BuiltRuntime built(tests::table_of("3.14.10"));
  const auto& fields = built.runtime.layout.thread_state;
  const Address first = built.add_thread(4001, 0x1000);
  built.add_thread(4002, 0x2000);
  built.target.threads[0].namespace_tid = 7;
  built.target.threads[1].namespace_tid = 8;
  // A native id that names another thread: pthread_self() is believed.
  built.objects.set(first, fields.native_thread_id, 8);
  built.objects.set(built.runtime.address, built.runtime.layout.runtime.main_thread, 0x1000);
  match(built);
  EXPECT_EQ(built.thread(0).tid, 4001);
  EXPECT_EQ(built.thread(0).native_thread_id, 8U);
  EXPECT_TRUE(built.thread(0).main);
  EXPECT_EQ(built.thread(1).tid, 4002);
  EXPECT_EQ(built.thread(1).native_thread_id, std::nullopt);
  EXPECT_FALSE(built.thread(1).main);
  EXPECT_TRUE(built.thread(1).gaps.empty());
}

TEST(ThreadIds, SayWhenNoThreadBelongsToAState) {
  BuiltRuntime built(tests::table_of("3.8.18"));
  built.add_thread(1, 0x1000);
  built.target.threads[0].registers->pthread_self = 0x5000;
  match(built);
  EXPECT_EQ(built.thread(0).tid, 0);
  EXPECT_EQ(built.thread(0).ident, 0x1000U);
  EXPECT_EQ(built.thread(0).gaps.size(), 1U);
}

TEST(ThreadIds, WithoutRegistersJoinByTheNativeId) {
  BuiltRuntime built(tests::table_of("3.11.7"));
  const auto& fields = built.runtime.layout.thread_state;
  const Address tstate = built.add_thread(4001, 0x1000);
  built.add_thread(4002, 0x2000);
  built.objects.set(tstate, fields.native_thread_id, 7);
  built.copy_all();
  for (attach::ThreadState& thread : built.target.threads) thread.registers.reset();
  built.target.threads[0].namespace_tid = 7;
  Reading reading = built.reading();
  match_os_threads(reading, built.copy);
  EXPECT_EQ(built.copy.interpreters[0].threads[0].os_thread, &built.target.threads[0]);
  EXPECT_EQ(built.copy.interpreters[0].threads[1].os_thread, nullptr);
}

TEST(ThreadIds, WithoutRegistersAndNativeIdsJoinByGlibcsStruct) {
  BuiltRuntime built(tests::table_of("3.8.18"));
  built.add_thread(4001, 0x10000);
  built.add_thread(4002, 0x20000);
  built.add_thread(4003, 0x30000);
  put_pthread(built, 0x10000, 4001);
  put_pthread(built, 0x20000, 4002);
  // No struct pthread: its own address is not where it must be.
  built.objects.memory().put(Address(0x20000) + 16, std::uint64_t{0});
  built.copy_all();
  for (attach::ThreadState& thread : built.target.threads) thread.registers.reset();
  Reading reading = built.reading();
  match_os_threads(reading, built.copy);
  EXPECT_EQ(built.copy.interpreters[0].threads[0].os_thread, &built.target.threads[0]);
  EXPECT_EQ(built.copy.interpreters[0].threads[1].os_thread, nullptr);
  EXPECT_EQ(built.copy.interpreters[0].threads[2].os_thread, nullptr);
}

TEST(ThreadIds, OfAStateLeftBehindYieldToTheLivingOne) {
  BuiltRuntime built(tests::table_of("3.14.10"));
  const auto& fields = built.runtime.layout.thread_state;
  const Address dead = built.add_thread(90, 0x1000);
  const Address alive = built.add_thread(91, 0x1000);
  built.objects.set(dead, fields.native_thread_id, 90);
  built.objects.set(alive, fields.native_thread_id, 91);
  built.copy_all();
  built.target.threads.erase(built.target.threads.begin());
  Reading reading = built.reading();
  match_os_threads(reading, built.copy);
  EXPECT_EQ(built.copy.interpreters[0].threads[0].os_thread, nullptr);
  EXPECT_EQ(built.copy.interpreters[0].threads[1].os_thread, &built.target.threads[0]);
}

}  // namespace
}  // namespace pythreads::pyframes
