#include "pyframes/thread_names.h"

#include <gtest/gtest.h>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

Address make_thread(tests::ObjectBuilder& objects, std::string_view name, bool daemon) {
  return objects.instance("Thread", objects.dict({{objects.str("_target"), objects.none()},
                                                  {objects.str("_name"), objects.str(name)},
                                                  {objects.str("_daemonic"), objects.boolean(daemon)}}));
}

void put_modules(BuiltRuntime& built, Address modules) {
  built.objects.set(built.interpreter, built.runtime.layout.interpreter.modules, modules);
}

void put_active(BuiltRuntime& built, Address active, Address limbo = Address()) {
  tests::ObjectBuilder& objects = built.objects;
  const Address threading = objects.module(objects.dict(
      {{objects.str("_limbo"), limbo.is_null() ? objects.none() : limbo}, {objects.str("_active"), active}}));
  put_modules(built,
              objects.dict({{objects.str("sys"), objects.none()}, {objects.str("threading"), threading}}));
}

class ThreadNames : public testing::TestWithParam<const RuntimeLayout*> {};

TEST_P(ThreadNames, AreFoundByIdent) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  put_active(built,
             objects.dict({{objects.integer(0x7f12'3456'7000), make_thread(objects, "worker-1", true)},
                           {objects.integer(0x7f12'3456'8000), make_thread(objects, "MainThread", false)}}));
  built.add_thread(1, 0x7f12'3456'8000);
  built.add_thread(2, 0x7f12'3456'7000);
  built.add_thread(3, 0x7f12'3456'9000);
  built.copy_all();
  Reading reading = built.reading();
  fetch_thread_names(reading, built.copy);
  read_thread_names(reading, built.copy, built.state);
  EXPECT_EQ(built.thread(0).name, "MainThread");
  EXPECT_EQ(built.thread(0).daemon, false);
  EXPECT_EQ(built.thread(1).name, "worker-1");
  EXPECT_EQ(built.thread(1).daemon, true);
  EXPECT_EQ(built.thread(2).name, "");
  EXPECT_EQ(built.thread(2).daemon, std::nullopt);
  EXPECT_TRUE(built.state.gaps.empty());
}

// Between Thread._set_ident and its entry in _active, and before: that one has no ident to be known by.
TEST_P(ThreadNames, OfAThreadThatIsBeingStarted) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const auto starting = [&](std::string_view name, Address ident) {
    return objects.instance("Thread", objects.dict({{objects.str("_name"), objects.str(name)},
                                                    {objects.str("_ident"), ident},
                                                    {objects.str("_daemonic"), objects.boolean(false)}}));
  };
  const Address told = starting("told", objects.integer(0x2000));
  const Address untold = starting("untold", objects.none());
  const Address stale = starting("stale", objects.integer(0x1000));
  put_active(built, objects.dict({{objects.integer(0x1000), make_thread(objects, "runs", true)}}),
             objects.dict({{told, told}, {untold, untold}, {stale, stale}}));
  built.add_thread(1, 0x1000);
  built.add_thread(2, 0x2000);
  built.add_thread(3, 0x3000);
  built.copy_all();
  Reading reading = built.reading();
  read_thread_names(reading, built.copy, built.state);
  EXPECT_EQ(built.thread(0).name, "runs");
  EXPECT_EQ(built.thread(1).name, "told");
  EXPECT_EQ(built.thread(1).daemon, false);
  EXPECT_EQ(built.thread(2).name, "");
  EXPECT_TRUE(built.state.gaps.empty());
}

TEST_P(ThreadNames, WithoutThreadingAreNoGap) {
  BuiltRuntime built(*GetParam());
  put_modules(built, built.objects.dict({}));
  built.add_thread(1, 0x1000);
  built.copy_all();
  Reading reading = built.reading();
  read_thread_names(reading, built.copy, built.state);
  EXPECT_EQ(built.thread(0).name, "");
  EXPECT_TRUE(built.state.gaps.empty());
}

TEST_P(ThreadNames, SayWhyThereAreNone) {
  BuiltRuntime built(*GetParam());
  put_active(built, built.objects.none());
  built.add_thread(1, 0x1000);
  built.copy_all();
  Reading reading = built.reading();
  read_thread_names(reading, built.copy, built.state);
  ASSERT_EQ(built.state.gaps.size(), 1U);
  EXPECT_NE(built.state.gaps[0].find("_active"), std::string::npos);
}

TEST_P(ThreadNames, BearAnythingInThreadingsTable) {
  BuiltRuntime built(*GetParam());
  tests::ObjectBuilder& objects = built.objects;
  const Address odd =
      objects.instance("Thread", objects.dict({{objects.str("_name"), objects.integer(7)},
                                               {objects.str("_daemonic"), objects.str("yes")}}));
  put_active(built, objects.dict({{objects.str("not an ident"), make_thread(objects, "a", true)},
                                  {objects.integer(-5), make_thread(objects, "b", true)},
                                  {objects.integer(0x1000), odd},
                                  {objects.integer(0x2000), Address(0x10)},
                                  {objects.integer(0x3000), make_thread(objects, "c", true)}}));
  built.add_thread(1, 0x1000);
  built.add_thread(2, 0x2000);
  built.add_thread(3, 0x3000);
  built.copy_all();
  Reading reading = built.reading();
  read_thread_names(reading, built.copy, built.state);
  EXPECT_EQ(built.thread(0).name, "");
  EXPECT_EQ(built.thread(0).daemon, std::nullopt);
  EXPECT_EQ(built.thread(1).name, "");
  EXPECT_EQ(built.thread(2).name, "c");
  ASSERT_EQ(built.state.gaps.size(), 1U);
  EXPECT_EQ(built.state.gaps[0].substr(0, 2), "3 ");
}

INSTANTIATE_TEST_SUITE_P(Layouts, ThreadNames,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.8.18r"),
                                         &tests::table_of("3.11.7"), &tests::table_of("3.11.7r"),
                                         &tests::table_of("3.13.5"), &tests::table_of("3.13.5t"),
                                         &tests::table_of("3.14.10")));

}  // namespace
}  // namespace pythreads::pyframes
