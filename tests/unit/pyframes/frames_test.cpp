#include "pyframes/frames.h"

#include <gtest/gtest.h>

#include "pyframes/interpreters.h"
#include "pyframes/layouts.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::PythonHeap;

std::string name_of(const testing::TestParamInfo<LayoutRow>& row) {
  return "v3_" + std::to_string(row.param.minor) + "_" + std::to_string(row.param.micro) +
         (row.param.kind.free_threaded ? "t" : "") + (row.param.kind.debug ? "d" : "") +
         (row.param.kind.linked_objects ? "_linked" : "");
}

std::vector<LayoutRow> all_rows() {
  return {layout_rows().begin(), layout_rows().end()};
}

// Two bytes of code on the first line, two on the next.
std::string two_lines(LineTable form) {
  switch (form) {
    case LineTable::lnotab:
      return std::string("\x02\x01", 2);
    case LineTable::linetable:
      return std::string("\x02\x00\x02\x01", 4);
    case LineTable::location_table:
      return std::string("\xe8\x00\xe8\x02", 4);  // no columns, 1 unit: the same line, then one on
  }
  return "";
}

class Frames : public testing::TestWithParam<LayoutRow> {
 protected:
  Frames() : layout(tests::with_runtime(*GetParam().layout)), heap(layout) {
    runtime.layout = layout;
    runtime.address = heap.runtime();
    interpreter = heap.add_interpreter(0);
    const std::string table = two_lines(layout.line_table);
    outer = heap.code("outer", "/srv/app.py", 10, table);
    inner = heap.code("inner", "/srv/app.py", 20, table);
  }

  PyRuntimeState read() {
    Reading reading({.runtime = runtime,
                     .target = target,
                     .memory = heap.memory(),
                     .lasting = heap.memory(),
                     .keys = heap.memory(),
                     .options = options});
    RuntimeCopy copy = copy_interpreters(reading);
    chain_frames(reading, copy);
    PyRuntimeState state;
    read_interpreters(reading, copy, state);
    read_frames(reading, copy, state);
    return state;
  }

  const RuntimeLayout layout;
  PythonHeap heap;
  Runtime runtime;
  ReadOptions options;
  attach::Target target;
  Address interpreter, outer, inner;
};

TEST_P(Frames, InnermostFirstWithTheirLines) {
  const Address thread = heap.add_thread(interpreter, 0x1000);
  heap.set_frame(thread, heap.frame(inner, 2, heap.frame(outer, 0, Address())));
  PyRuntimeState state = read();
  ASSERT_EQ(state.interpreters.size(), 1U);
  ASSERT_EQ(state.interpreters[0].threads.size(), 1U);
  const PyThread& read_thread = state.interpreters[0].threads[0];
  ASSERT_EQ(read_thread.frames.size(), 2U) << read_thread.frames_gap;
  EXPECT_EQ(read_thread.frames_gap, "");
  EXPECT_EQ(read_thread.frames[0].function, "inner");
  EXPECT_EQ(read_thread.frames[0].line, 21);
  EXPECT_EQ(read_thread.frames[0].file, "/srv/app.py");
  EXPECT_EQ(read_thread.frames[0].qualified_name, layout.code.co_qualname.exists() ? "Owner.inner" : "inner");
  EXPECT_EQ(read_thread.frames[1].function, "outer");
  EXPECT_EQ(read_thread.frames[1].line, 10);
}

TEST_P(Frames, ACircleEndsWithAGap) {
  const Address thread = heap.add_thread(interpreter, 0x1000);
  const Address first = heap.frame(outer, 0, Address());
  const Address second = heap.frame(inner, 0, first);
  if (layout.frame_style == FrameStyle::frame_objects) {
    heap.set(first, layout.frame_object.f_back, second);
  } else {
    heap.set(first, layout.interpreter_frame.previous, second);
  }
  heap.set_frame(thread, second);
  PyRuntimeState state = read();
  EXPECT_EQ(state.interpreters[0].threads[0].frames.size(), 2U);
  EXPECT_NE(state.interpreters[0].threads[0].frames_gap, "");
}

TEST_P(Frames, AFrameThatCannotBeReadIsAGapOfItsThreadAlone) {
  const Address bad = heap.add_thread(interpreter, 0x1000);
  heap.set_frame(bad, heap.frame(inner, 0, Address(0xdead'0000)));
  const Address good = heap.add_thread(interpreter, 0x2000);
  heap.set_frame(good, heap.frame(inner, 0, heap.frame(outer, 0, Address())));
  PyRuntimeState state = read();
  ASSERT_EQ(state.interpreters[0].threads.size(), 2U);
  EXPECT_EQ(state.interpreters[0].threads[0].frames_gap, "");
  EXPECT_EQ(state.interpreters[0].threads[0].frames.size(), 2U);
  EXPECT_NE(state.interpreters[0].threads[1].frames_gap, "");
  EXPECT_EQ(state.interpreters[0].threads[1].frames.size(), 1U);
}

TEST_P(Frames, WhatIsNoCodeObjectIsNotReadAsOne) {
  const Address thread = heap.add_thread(interpreter, 0x1000);
  heap.set_frame(thread, heap.frame(heap.none(), 0, heap.frame(outer, 0, Address())));
  PyRuntimeState state = read();
  const PyThread& read_thread = state.interpreters[0].threads[0];
  ASSERT_EQ(read_thread.frames.size(), 2U);
  EXPECT_TRUE(read_thread.frames[0].function_unread);
  EXPECT_TRUE(read_thread.frames[0].file_unread);
  ASSERT_EQ(read_thread.gaps.size(), 1U);
  EXPECT_NE(read_thread.gaps[0].find("no code object"), std::string::npos);
  EXPECT_EQ(read_thread.frames[1].function, "outer");
}

TEST_P(Frames, ShimFramesMarkTheEntries) {
  if (layout.entry_style != EntryStyle::shim_frame) {
    EXPECT_EQ(layout.first_shim_owner, 0);
    return;
  }
  const Address thread = heap.add_thread(interpreter, 0x1000);
  const Address bottom = heap.frame(heap.none(), 0, Address(), layout.first_shim_owner);
  const Address caller = heap.frame(outer, 0, bottom);
  const Address shim = heap.frame(heap.none(), 0, caller, layout.first_shim_owner);
  heap.set_frame(thread, heap.frame(inner, 2, heap.frame(inner, 0, shim)));
  PyRuntimeState state = read();
  const PyThread& read_thread = state.interpreters[0].threads[0];
  ASSERT_EQ(read_thread.frames.size(), 3U);
  EXPECT_FALSE(read_thread.frames[0].entry);
  EXPECT_TRUE(read_thread.frames[1].entry);
  EXPECT_TRUE(read_thread.frames[2].entry);
  EXPECT_TRUE(read_thread.gaps.empty());
}

TEST_P(Frames, BeforeItsFirstResumeAFrameIsMarked) {
  if (layout.frame_style == FrameStyle::frame_objects) {
    EXPECT_FALSE(layout.code.co_firsttraceable.exists()) << "these frames are always complete";
    return;
  }
  heap.set(inner, layout.code.co_firsttraceable, 2);
  const Address thread = heap.add_thread(interpreter, 0x1000);
  heap.set_frame(thread, heap.frame(inner, 2, heap.frame(outer, 0, Address())));
  const Address generator = heap.add_thread(interpreter, 0x2000);
  heap.set_frame(generator, heap.frame(inner, 2, Address(), 1));
  PyRuntimeState state = read();
  EXPECT_TRUE(state.interpreters[0].threads[1].frames[0].trampoline);
  EXPECT_FALSE(state.interpreters[0].threads[1].frames[1].trampoline);
  EXPECT_FALSE(state.interpreters[0].threads[0].frames[0].trampoline) << "a generator's is always complete";
}

TEST_P(Frames, MoreFramesThanAskedForAreAGap) {
  options.max_frames = 3;
  const Address thread = heap.add_thread(interpreter, 0x1000);
  Address frame;
  for (int i = 0; i < 5; ++i) frame = heap.frame(outer, 0, frame);
  heap.set_frame(thread, frame);
  PyRuntimeState state = read();
  EXPECT_EQ(state.interpreters[0].threads[0].frames.size(), 3U);
  EXPECT_NE(state.interpreters[0].threads[0].frames_gap, "");
}

TEST_P(Frames, ThreadListsEndWithAGap) {
  const Address second = heap.add_thread(interpreter, 0x1000);
  const Address first = heap.add_thread(interpreter, 0x2000);
  heap.set(second, layout.thread_state.next, first);
  EXPECT_EQ(read().interpreters[0].threads.size(), 2U);
  EXPECT_NE(read().interpreters[0].threads_gap, "");
  heap.set(second, layout.thread_state.next, Address(0xdead'0000));
  EXPECT_EQ(read().interpreters[0].threads.size(), 2U);
  EXPECT_NE(read().interpreters[0].threads_gap, "");
  heap.set(second, layout.thread_state.next, Address());
  EXPECT_EQ(read().interpreters[0].threads_gap, "");
  heap.set(second, layout.thread_state.interp, first);
  EXPECT_EQ(read().interpreters[0].threads.size(), 1U);
  EXPECT_NE(read().interpreters[0].threads_gap, "");
}

TEST_P(Frames, EveryInterpreterIsRead) {
  heap.add_thread(interpreter, 0x1000);
  const Address other = heap.add_interpreter(3);
  heap.add_thread(other, 0x1000);
  PyRuntimeState state = read();
  ASSERT_EQ(state.interpreters.size(), 2U);
  EXPECT_EQ(state.interpreters[0].id, layout.interpreter.id.exists() ? 3 : 1);
  EXPECT_FALSE(state.interpreters[0].main);
  EXPECT_TRUE(state.interpreters[1].main);
  EXPECT_EQ(state.interpreters[0].threads.size(), 1U);
  heap.set(interpreter, layout.interpreter.next, other);
  EXPECT_EQ(read().gaps.size(), 1U) << "a circle of interpreters";
}

INSTANTIATE_TEST_SUITE_P(Layouts, Frames, testing::ValuesIn(all_rows()), name_of);

}  // namespace
}  // namespace pythreads::pyframes
