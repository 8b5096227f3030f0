#include "report/analysis/mixed_stack.h"

#include <gtest/gtest.h>

#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using report::MixedFrame;
using report::MixedKind;
using report::Snapshot;

// "take_gil|py:inner|PyObject_Call|py:outer|gap|main"
std::string merged(const SnapshotBuilder& builder) {
  const Snapshot snapshot = builder.build();
  const report::JoinedThread thread = report::join_threads(snapshot).at(0);
  std::string text;
  for (const MixedFrame& frame : report::mixed_stack(thread)) {
    if (!text.empty()) text += '|';
    switch (frame.kind) {
      case MixedKind::python:
        text += "py:" + thread.python->frames[frame.index].function;
        break;
      case MixedKind::native:
        text += thread.os->native.frames[frame.index].function;
        break;
      case MixedKind::gap:
        text += "gap";
        break;
    }
  }
  return text;
}

struct Stack {
  SnapshotBuilder builder{10};
  ThreadBuilder thread = builder.thread(10, "MainThread");
};

TEST(MixedStack, OneLoopForEachFrameUpTo310) {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner", "m", true).frame("a.py", 2, "outer", "m", true);
  stack.thread.native("__select").native("time_sleep").native("_PyEval_EvalFrameDefault");
  stack.thread.native("_PyEval_EvalFrame").native("function_code_fastcall");
  stack.thread.native("_PyEval_EvalFrameDefault").native("PyEval_EvalCode").native("main");
  EXPECT_EQ(merged(stack.builder),
            "__select|time_sleep|py:inner|function_code_fastcall|py:outer|PyEval_EvalCode|main");
}

TEST(MixedStack, OneLoopRunsManyFramesFrom311) {
  Stack stack;
  stack.thread.frame("a.py", 1, "leaf").frame("a.py", 2, "called_from_c", "m", true);
  stack.thread.frame("a.py", 3, "sorter").frame("a.py", 4, "module", "m", true);
  stack.thread.native("_PyEval_EvalFrameDefault").native("list_sort").native("_PyEval_EvalFrameDefault.cold");
  stack.thread.native("main");
  EXPECT_EQ(merged(stack.builder), "py:leaf|py:called_from_c|list_sort|py:sorter|py:module|main");
}

TEST(MixedStack, InstructionsOfTailCallsAreTheLoop) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f", "m", true);
  stack.thread.native("PyObject_Vectorcall").native("_TAIL_CALL_CALL").native("_PyEval_EvalFrameDefault");
  stack.thread.native("main");
  EXPECT_EQ(merged(stack.builder), "PyObject_Vectorcall|py:f|main");
}

TEST(MixedStack, WhatIsInlinedIntoTheLoopIsTheLoop) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f", "m", true);
  stack.thread.native("read").native("_PyEval_EvalFrame").native("_PyEval_EvalFrameDefault").native("main");
  auto& frames = stack.thread.os().native.frames;
  frames[1].function = "Py_DECREF";
  frames[1].inlined = true;
  frames[1].pc = frames[2].pc;
  EXPECT_EQ(merged(stack.builder), "read|py:f|main");
}

// Two runs of a stripped build, whose loop's cold part has no name.
Stack unnamed_loops() {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner", "m", true).frame("a.py", 2, "outer", "m", true);
  for (const char* name : {"__select", "", "", "PyObject_Vectorcall", "", "main"})
    stack.thread.native(name, "/usr/bin/python3.11");
  std::uint64_t sp = 0x7ffc0000;
  for (auto& frame : stack.thread.os().native.frames) frame.sp = attach::Address(sp += 0x100);
  stack.thread.python().frames[0].loop_place = attach::Address(0x7ffc0340);
  stack.thread.python().frames[1].loop_place = attach::Address(0x7ffc0500);
  return stack;
}

TEST(MixedStack, ALoopWithoutANameIsKnownByWhatItKeepsOnTheStack) {
  const Stack stack = unnamed_loops();
  EXPECT_EQ(merged(stack.builder), "__select||py:inner|PyObject_Vectorcall|py:outer|main");
}

TEST(MixedStack, APlaceProvesNothingOfANamedFrameNorOfAnotherModule) {
  Stack named = unnamed_loops();
  named.thread.os().native.frames[2].function = "list_sort";
  EXPECT_EQ(merged(named.builder), "py:inner|py:outer|gap|__select||list_sort|PyObject_Vectorcall||main");
  Stack other = unnamed_loops();
  other.thread.os().native.frames[2].module = "/usr/lib/libc.so.6";
  EXPECT_EQ(merged(other.builder), "py:inner|py:outer|gap|__select|||PyObject_Vectorcall||main");
}

TEST(MixedStack, TrampolinesCountAndAreNotShown) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f").frame("<shim>", 0, "<shim>", "", true);
  stack.thread.python().frames.back().trampoline = true;
  stack.thread.native("_PyEval_EvalFrameDefault").native("main");
  EXPECT_EQ(merged(stack.builder), "py:f|main");
}

TEST(MixedStack, CountsThatDoNotMatchAreListedApartAndNothingIsDropped) {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner", "m", true).frame("a.py", 2, "outer", "m", true);
  stack.thread.native("read").native("").native("call").native("_PyEval_EvalFrameDefault").native("main");
  EXPECT_EQ(merged(stack.builder), "py:inner|py:outer|gap|read||call|_PyEval_EvalFrameDefault|main");
}

TEST(MixedStack, AWalkThatEndedEarlyStillPairsTheInnerFrames) {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner", "m", true).frame("a.py", 2, "outer", "m", true);
  stack.thread.native("read").native("_PyEval_EvalFrameDefault").native("odd_function");
  stack.thread.os().native.end = unwinder::StackEnd::gap;
  stack.thread.os().native.gap = "no unwind table";
  EXPECT_EQ(merged(stack.builder), "read|py:inner|odd_function|gap|py:outer");
}

TEST(MixedStack, WhatIsInlinedIntoAnInstructionOfTailCallsIsTheLoop) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f", "m", true);
  stack.thread.native("read")
      .native("Py_DECREF")
      .native("_TAIL_CALL_CALL")
      .native("_PyEval_EvalFrameDefault");
  stack.thread.native("main");
  auto& frames = stack.thread.os().native.frames;
  frames[1].inlined = true;
  frames[1].pc = frames[2].pc;
  EXPECT_EQ(merged(stack.builder), "read|py:f|main");
}

// 3.14's JIT has neither unwind tables nor frame pointers: what it called is inner to what it runs.
TEST(MixedStack, AWalkThatEndsInAJitsCodeStandsBeforeThePythonFrames) {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner").frame("a.py", 2, "outer", "m", true);
  stack.thread.native("os_read", "/usr/bin/python3.11").native("", "/usr/lib/libc.so.6").native("", "");
  stack.thread.os().native.end = unwinder::StackEnd::gap;
  stack.thread.os().native.gap = "no module holds it";
  EXPECT_EQ(merged(stack.builder), "os_read|||gap|py:inner|py:outer");
  stack.thread.os().native.frames[0].function = "";  // this may be the loop, or what it was split into
  EXPECT_EQ(merged(stack.builder), "py:inner|py:outer|gap||||gap");
}

TEST(MixedStack, AnEarlyEndAndANamelessFrameOfCPythonPairNothing) {
  Stack stack;
  stack.thread.frame("a.py", 1, "inner", "m", true).frame("a.py", 2, "outer", "m", true);
  stack.thread.native("read").native("").native("_PyEval_EvalFrameDefault");
  stack.thread.os().native.end = unwinder::StackEnd::gap;
  EXPECT_EQ(merged(stack.builder), "py:inner|py:outer|gap|read||_PyEval_EvalFrameDefault|gap");
}

TEST(MixedStack, WithoutANativeStackThePythonFramesStay) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f", "m", true);
  stack.thread.os().native.gap = "the thread was not held";
  EXPECT_EQ(merged(stack.builder), "py:f|gap");
}

TEST(MixedStack, ANativeThreadHasItsNativeFrames) {
  SnapshotBuilder builder(10);
  builder.native_thread(10, "worker").native("poll").native("start_thread");
  EXPECT_EQ(merged(builder), "poll|start_thread");
}

TEST(MixedStack, ACutPythonStackSaysSoInItsPlace) {
  Stack stack;
  stack.thread.frame("a.py", 1, "f", "m", true);
  stack.thread.python().frames_gap = "the next frame could not be read";
  stack.thread.native("_PyEval_EvalFrameDefault").native("call").native("_PyEval_EvalFrameDefault");
  stack.thread.native("main");
  EXPECT_EQ(merged(stack.builder), "py:f|gap|call|_PyEval_EvalFrameDefault|main");
}

}  // namespace
}  // namespace pythreads::tests
