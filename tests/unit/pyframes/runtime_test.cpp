#include "pyframes/runtime.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "pyframes/layouts.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Result;
using tests::FakeMemory;
using tests::PythonHeap;

// A target whose files are gone: what is left is its memory.
class NoFiles : public attach::TargetFiles {
 public:
  Result<attach::ScopedFd> open_mapping(const attach::Mapping&) override { return gone(); }
  Result<attach::ScopedFd> open_path(std::string_view) override { return gone(); }
  Result<attach::ScopedFd> open_debug_file(std::string_view) override { return gone(); }

 private:
  static Error gone() { return Error{ErrorCode::unreadable, "the file is gone", ""}; }
};

class Forwarded : public attach::Memory {
 public:
  explicit Forwarded(attach::Memory& to) : to_(to) {}

 private:
  std::size_t read_some(Address from, std::span<std::byte> into) override {
    return to_.read_up_to(from, into);
  }
  attach::Memory& to_;
};

// What _Py_DebugOffsets of 3.13 says when it agrees with the table (Include/internal/pycore_runtime.h).
std::vector<std::uint64_t> offsets_of_3_13(const RuntimeLayout& of, std::uint32_t hexversion) {
  auto at = [](auto field) { return static_cast<std::uint64_t>(field.offset); };
  auto size = [](std::int32_t bytes) { return static_cast<std::uint64_t>(bytes); };
  std::uint64_t cookie = 0;
  std::memcpy(&cookie, "xdebugpy", sizeof cookie);
  const std::uint64_t gil = 4096;
  const std::uint64_t collector = at(of.interpreter.gc_collecting) - 64;
  return {cookie,
          hexversion,
          0,
          size(of.runtime.size),
          at(of.runtime.finalizing),
          at(of.runtime.interpreters_head),
          size(of.interpreter.size),
          at(of.interpreter.id),
          at(of.interpreter.next),
          at(of.interpreter.threads_head),
          collector,
          at(of.interpreter.modules),
          at(of.interpreter.sysdict),
          at(of.interpreter.builtins),
          at(of.interpreter.ceval_gil),
          gil,
          0,
          gil + at(of.gil.locked),
          gil + at(of.gil.last_holder),
          size(of.thread_state.size),
          at(of.thread_state.prev),
          at(of.thread_state.next),
          at(of.thread_state.interp),
          at(of.thread_state.current_frame),
          at(of.thread_state.thread_id),
          at(of.thread_state.native_thread_id),
          at(of.thread_state.datastack_chunk),
          at(of.thread_state.status_active),
          size(of.interpreter_frame.size),
          at(of.interpreter_frame.previous),
          at(of.interpreter_frame.f_executable),
          at(of.interpreter_frame.instr_ptr),
          at(of.interpreter_frame.localsplus),
          at(of.interpreter_frame.owner),
          size(of.code.size),
          at(of.code.co_filename),
          at(of.code.co_name),
          at(of.code.co_qualname),
          at(of.code.co_linetable),
          at(of.code.co_firstlineno),
          at(of.code.co_argcount),
          at(of.code.co_localsplusnames),
          at(of.code.co_localspluskinds),
          at(of.code.co_code_adaptive),
          size(of.object.size),
          at(of.object.ob_type),
          size(of.type.size),
          at(of.type.tp_name),
          0,
          at(of.type.tp_flags),
          48,
          at(of.tuple.ob_item),
          at(of.tuple.ob_size),
          40,
          at(of.list.ob_item),
          at(of.list.ob_size),
          48,
          at(of.dict.ma_keys),
          at(of.dict.ma_values),
          24,
          at(of.floating.ob_fval),
          32,
          at(of.integer.lv_tag),
          at(of.integer.ob_digit),
          40,
          at(of.bytes.ob_size),
          at(of.bytes.ob_sval),
          64,
          at(of.unicode.kind),
          at(of.unicode.length),
          size(of.unicode.size),
          128,
          64};
}

class FindRuntime : public testing::Test {
 protected:
  FindRuntime() : layout(*find_layout({3, 13, 5, 0}, {})), heap(layout) {
    heap.type("int", type_flag::long_subclass, layout.integer.ob_digit.offset);
    heap.type("str", type_flag::unicode_subclass, layout.legacy_unicode.data.offset + 8);
    interpreter = heap.add_interpreter(0);
    say(0x030d05f0, "");
    attach::Module module;
    module.path = target.process.executable = "/usr/bin/python3.13";
    module.range = {heap.runtime(), 1 << 20};
    target.modules.push_back(module);
    attach::Mapping data;
    data.range = module.range;
    data.readable = data.writable = true;
    target.mappings.push_back(data);
    target.files = std::make_unique<NoFiles>();
    target.memory = std::make_unique<Forwarded>(heap.memory());
  }

  void say(std::uint32_t hexversion, std::string_view abiflags) {
    heap.set_sys(interpreter, hexversion, abiflags);
    const std::vector<std::uint64_t> words = offsets_of_3_13(layout, hexversion);
    heap.memory().put_bytes(heap.runtime(), std::as_bytes(std::span(words)));
  }

  const RuntimeLayout& layout;
  PythonHeap heap;
  Address interpreter;
  attach::Target target;
};

TEST_F(FindRuntime, ByItsCookieWhereNoSymbolTells) {
  Result<Runtime> runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_EQ(runtime->address, heap.runtime());
  EXPECT_EQ(to_string(runtime->version), "3.13.5");
  EXPECT_FALSE(runtime->debug);
  EXPECT_EQ(runtime->layout_trust, LayoutTrust::exact);
  EXPECT_EQ(runtime->layout_note, "");
  EXPECT_EQ(runtime->linkage, Linkage::static_executable);
  EXPECT_EQ(runtime->layout.interpreter.gc_collecting, layout.interpreter.gc_collecting);
}

TEST_F(FindRuntime, ADebugBuildTakesItsOwnTable) {
  say(0x030d05f0, "d");
  Result<Runtime> runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_TRUE(runtime->debug);
  EXPECT_EQ(runtime->layout.interpreter.stoptheworld_requested,
            find_layout({3, 13, 5, 0}, {.debug = true})->interpreter.stoptheworld_requested);
}

TEST_F(FindRuntime, OffsetsThatCannotBeTrueAreNotUsedAndThatIsSaid) {
  heap.memory().put(heap.runtime() + 184, std::uint64_t{3});  // thread_state.current_frame
  Result<Runtime> runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_EQ(runtime->layout.thread_state.current_frame, layout.thread_state.current_frame);
  EXPECT_NE(runtime->layout_note, "");
}

TEST_F(FindRuntime, ATableThatTheTypesContradictIsSaid) {
  heap.set(heap.type("int"), layout.type.tp_basicsize, 99);
  Result<Runtime> runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_NE(runtime->layout_note.find("int has 99 bytes"), std::string::npos) << runtime->layout_note;
  EXPECT_NE(runtime->layout_trust, LayoutTrust::exact);
}

TEST_F(FindRuntime, WhatCannotBeWalkedIsNoRuntime) {
  heap.set_sys(interpreter, 0x030c01f0, "");  // sys says otherwise
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::corrupt);
  heap.set(heap.runtime(), layout.runtime.interpreters_head, Address());
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::corrupt);
  heap.memory().put(heap.runtime(), std::uint64_t{0});  // no cookie
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::not_python);
  target.modules.clear();
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::not_python);
}

struct UnnamedBuild {
  int minor = 0;
  BuildKind kind;
};

// Nothing names the runtime and it has no cookie: what the list of interpreters leads to tells where it is.
class FindUnnamedRuntime : public testing::TestWithParam<UnnamedBuild> {
 protected:
  FindUnnamedRuntime() : layout(*find_layout({3, GetParam().minor, 18, 0}, GetParam().kind)), heap(layout) {
    heap.type("int", type_flag::long_subclass, layout.integer.ob_digit.offset);
    heap.type("str", type_flag::unicode_subclass, layout.legacy_unicode.data.offset + 8);
    interpreter = heap.add_interpreter(0);
    const auto minor = static_cast<std::uint32_t>(GetParam().minor);
    heap.set_sys(interpreter, 0x03000000U | minor << 16U | 0x01f0U, GetParam().kind.debug ? "d" : "");
    thread = heap.add_thread(interpreter, 1);
    next_id = heap.runtime() + static_cast<std::uint64_t>(layout.runtime.interpreters_main.offset) + 8;
    heap.memory().put(next_id, std::uint64_t{1});
    attach::Module module;
    module.path = target.process.executable = "/opt/application";
    module.range = {heap.runtime(), 1 << 20};
    target.modules.push_back(module);
    attach::Mapping data;
    data.range = module.range;
    data.readable = data.writable = true;
    target.mappings.push_back(data);
    target.files = std::make_unique<NoFiles>();
    target.memory = std::make_unique<Forwarded>(heap.memory());
  }

  const RuntimeLayout& layout;
  PythonHeap heap;
  Address interpreter, thread, next_id;
  attach::Target target;
};

TEST_P(FindUnnamedRuntime, ByItsListOfInterpreters) {
  Result<Runtime> runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_EQ(runtime->address, heap.runtime());
  EXPECT_EQ(runtime->version.minor, GetParam().minor);
  EXPECT_EQ(runtime->layout.object.ob_type, layout.object.ob_type);
  EXPECT_EQ(runtime->layout.code.co_name, layout.code.co_name);
  EXPECT_EQ(runtime->debug, GetParam().kind.debug);
  EXPECT_EQ(runtime->layout_trust, LayoutTrust::exact) << runtime->layout_note;
  heap.add_interpreter(1);  // a second stands before the main one
  heap.memory().put(next_id, std::uint64_t{2});
  runtime = find_runtime(target);
  ASSERT_TRUE(runtime) << runtime.error().message;
  EXPECT_EQ(runtime->address, heap.runtime());
}

TEST_P(FindUnnamedRuntime, OnlyByOneThatPointsBack) {
  heap.set(thread, layout.thread_state.interp, heap.runtime());
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::not_python);
  heap.set(thread, layout.thread_state.interp, interpreter);
  ASSERT_TRUE(find_runtime(target));
  heap.set(interpreter, layout.interpreter.next, interpreter);  // a list without an end
  EXPECT_FALSE(find_runtime(target));
  heap.set(interpreter, layout.interpreter.next, Address());
  heap.memory().put(next_id, std::uint64_t{1} << 40U);
  EXPECT_EQ(find_runtime(target).error().code, ErrorCode::not_python);
}

constexpr BuildKind ordinary{}, linked{.linked_objects = true},
    debug_linked{.debug = true, .linked_objects = true};
INSTANTIATE_TEST_SUITE_P(Versions, FindUnnamedRuntime,
                         testing::Values(UnnamedBuild{8, ordinary}, UnnamedBuild{9, ordinary},
                                         UnnamedBuild{10, ordinary}, UnnamedBuild{11, ordinary},
                                         UnnamedBuild{12, ordinary}, UnnamedBuild{8, linked},
                                         UnnamedBuild{9, debug_linked}, UnnamedBuild{10, linked},
                                         UnnamedBuild{11, debug_linked}, UnnamedBuild{12, linked}));

}  // namespace
}  // namespace pythreads::pyframes
