#include "cli/packed_facts.h"

#include <gtest/gtest.h>

#include <string>

namespace pythreads::cli {
namespace {

using attach::Address;

// Each type of a fact is in it, and each kind of a field.
FactsRead some_facts() {
  FactsRead facts;
  pyframes::PyRuntimeState& runtime = facts.runtime;
  runtime.version = {3, 13, 5, 0x030d05f0};
  runtime.linkage = pyframes::Linkage::shared_library;
  runtime.library = "/usr/lib/libpython3.13.so";
  runtime.gaps = {"a gap", ""};
  pyframes::PyInterpreter& interpreter = runtime.interpreters.emplace_back();
  interpreter.gil.emplace().holder_tid = 12;
  interpreter.gc_collecting = false;
  pyframes::PyThread& thread = interpreter.threads.emplace_back();
  thread.name = "worker \xff\n";
  thread.ident = ~std::uint64_t{0};
  thread.daemon = true;
  thread.exception = {"ValueError", "no", "a.py", 3};
  thread.pending_async_exception = "";
  thread.attachment = pyframes::PyAttachment::shutting_down;
  thread.lock_wait = {Address(1), Address(2), "rule", "evidence"};
  const attach::SharedText file("a.py");
  for (int i = 0; i < 3; ++i) {
    pyframes::PyFrame& frame = thread.frames.emplace_back();
    frame.file = file;
    frame.function = i == 1 ? attach::SharedText() : attach::SharedText("f" + std::to_string(i));
    if (i == 2) frame.function = attach::SharedText::of_no_length();
    frame.line = i - 1;
    frame.trigger = pyframes::PyTrigger::trace;
    frame.locals = {{"x", {"<redacted>", true}}};
  }
  thread.frame_objects = {{2, "self", Address(5)}};
  thread.held.push_back({.object = Address(5), .trust = pyframes::PyHoldTrust::likely, .frame = 1});
  thread.held.back().acquired = {"a.py", 7, "take"};
  thread.held.push_back({.object = Address(6), .permit = true});
  thread.pending_calls = {{Address(5), "get", 0, 9}};
  thread.mentions = {{Address(5), 0, "self._lock"}};
  pyframes::PySyncObject& object = runtime.sync_objects.emplace_back();
  object.address = Address(5);
  object.kind = pyframes::PySyncKind::stop_event;
  object.count = -3;
  object.detail = {{"a", {}}, {"b", true}, {"c", std::int64_t{-1}}, {"d", std::string("text")}};
  facts.stacks.resize(2);
  facts.stacks[1].walked = true;
  unwinder::NativeStack& native = facts.stacks[1].native;
  native.end = unwinder::StackEnd::root;
  native.frames.resize(2);
  native.frames[0].module = native.frames[1].module = "/lib/libc.so.6";
  native.frames[1].trust = unwinder::FrameTrust::scanned;
  facts.deadline_passed = true;
  return facts;
}

TEST(PackedFacts, ComeBackAsTheyWere) {
  const std::string bytes = pack(some_facts());
  const attach::Result<FactsRead> facts = unpack(bytes, 2);
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_EQ(pack(*facts), bytes);  // every field is among them, or the compiler had said so

  const pyframes::PyThread& thread = facts->runtime.interpreters[0].threads[0];
  EXPECT_EQ(to_string(facts->runtime.version), "3.13.5");
  EXPECT_EQ(thread.name, "worker \xff\n");
  EXPECT_EQ(thread.ident, ~std::uint64_t{0});
  EXPECT_EQ(thread.pending_async_exception, "");
  EXPECT_EQ(thread.frames[2].line, 1);
  EXPECT_EQ(&thread.frames[0].file.str(), &thread.frames[2].file.str());  // kept once
  EXPECT_TRUE(thread.frames[1].function.is_null());
  EXPECT_FALSE(thread.frames[2].function.is_null());
  EXPECT_EQ(thread.held[0].acquired.line, 7);
  EXPECT_EQ(std::get<std::int64_t>(facts->runtime.sync_objects[0].detail[2].value), -1);
  EXPECT_EQ(facts->stacks[1].native.frames[0].module, "/lib/libc.so.6");
  EXPECT_TRUE(facts->deadline_passed);
}

TEST(PackedFacts, CutOrLengthenedAreRefused) {
  const std::string bytes = pack(some_facts());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    ASSERT_FALSE(unpack(std::string_view(bytes).substr(0, size), 2).ok()) << size;
  EXPECT_FALSE(unpack(bytes + '\0', 2).ok());
  EXPECT_FALSE(unpack(bytes, 1).ok());
  EXPECT_FALSE(unpack(bytes, 3).ok());
}

// Any byte another one: refused, or facts in which what is an index is one.
TEST(PackedFacts, SpoiledNeverLeadOutside) {
  const std::string bytes = pack(some_facts());
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const int other : {0x00, 0x01, 0x02, 0x7f, 0x80, 0xff}) {
      std::string spoiled = bytes;
      spoiled[at] = static_cast<char>(other);
      const attach::Result<FactsRead> facts = unpack(spoiled, 2);
      if (!facts) {
        ++refused;
        continue;
      }
      ASSERT_LE(static_cast<int>(facts->runtime.layout),
                static_cast<int>(pyframes::LayoutTrust::extrapolated));
      for (const pyframes::PyInterpreter& interpreter : facts->runtime.interpreters) {
        for (const pyframes::PyThread& thread : interpreter.threads) {
          for (const auto& each : thread.frame_objects) ASSERT_LT(each.frame, thread.frames.size());
          for (const auto& each : thread.pending_calls) ASSERT_LT(each.frame, thread.frames.size());
          for (const auto& each : thread.mentions) ASSERT_LT(each.frame, thread.frames.size());
          for (const auto& each : thread.held) {
            ASSERT_TRUE(!each.frame || *each.frame < thread.frames.size());
          }
          for (const auto& each : thread.frames) ASSERT_LE(each.trigger, pyframes::PyTrigger::trace);
        }
      }
      for (const auto& each : facts->runtime.sync_objects)
        ASSERT_LE(each.kind, pyframes::PySyncKind::stop_event);
    }
  }
  EXPECT_GT(refused, bytes.size());
}

TEST(PackedFacts, IndexOfNoFrameIsLeftOut) {
  FactsRead facts = some_facts();
  pyframes::PyThread& thread = facts.runtime.interpreters[0].threads[0];
  thread.frame_objects[0].frame = 3;
  thread.held[0].frame = ~std::size_t{0};
  const attach::Result<FactsRead> got = unpack(pack(facts), 2);
  ASSERT_TRUE(got.ok());
  const pyframes::PyThread& back = got->runtime.interpreters[0].threads[0];
  EXPECT_TRUE(back.frame_objects.empty());
  EXPECT_EQ(back.held.size(), 2u);
  EXPECT_FALSE(back.held[0].frame.has_value());
}

}  // namespace
}  // namespace pythreads::cli
