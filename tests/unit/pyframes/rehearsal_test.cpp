#include "pyframes/rehearsal.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <string>
#include <utility>

#include "pyframes/frames.h"
#include "pyframes/interpreters.h"
#include "pyframes/layouts.h"
#include "pyframes/thread_ids.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::PythonHeap;

// Two threads that sleep, with two frames each, seen before a stop and at it.
class RehearsalTest : public testing::TestWithParam<LayoutRow> {
 protected:
  RehearsalTest() : layout(tests::with_runtime(*GetParam().layout)), heap(layout) {
    runtime.layout = layout;
    runtime.address = heap.runtime();
    interpreter = heap.add_interpreter(0);
    code = heap.code("work", "/srv/app.py", 10, std::string(1, '\0'));
    for (std::size_t i = 0; i < 2; ++i) {
      const std::uint64_t ident = 0x1000 * (i + 1);
      tstates[i] = heap.add_thread(interpreter, ident);
      outer[i] = heap.frame(code, 4, Address());
      inner[i] = heap.frame(code, 8, outer[i]);
      heap.set_frame(tstates[i], inner[i]);
      stacks[i] = heap.allocate(4096);
      attach::ThreadState& thread = target.threads.emplace_back();
      thread.tid = static_cast<pid_t>(100 + i);
      thread.namespace_tid = thread.tid;
      thread.registers.emplace();
      thread.registers->pthread_self = ident;
      thread.registers->values[attach::stack_pointer_register] = stacks[i].value;
      thread.sleeping_sp = stacks[i];
      thread.kernel_wait.emplace();
      thread.kernel_wait->number = SYS_futex;
      thread.kernel_wait->arguments = {0x7000 + i};
    }
  }

  Reading reading() {
    return Reading({.runtime = runtime,
                    .target = target,
                    .memory = heap.memory(),
                    .lasting = heap.memory(),
                    .keys = heap.memory(),
                    .options = options,
                    .held = true});
  }

  Rehearsal rehearse(const PyRuntimeState& state = {}) {
    Reading before = reading();
    RuntimeCopy copy = copy_interpreters(before);
    match_os_threads(before, copy);
    chain_frames(before, copy);
    EXPECT_EQ(copy.interpreters.at(0).threads.size(), 2u);
    return Rehearsal(std::move(before), std::move(copy), state);
  }

  // How many threads have to be walked again.
  std::size_t moved(const Rehearsal& rehearsal) {
    Reading held = reading();
    RuntimeCopy copy = copy_interpreters(held);
    rehearsal.leave_out_unmoved(held, copy);
    return copy.interpreters.at(0).threads.size();
  }

  std::uint64_t place_in_frame() const {
    const bool objects = layout.frame_style == FrameStyle::frame_objects;
    return static_cast<std::uint64_t>(objects ? layout.frame_object.f_lasti.offset
                                              : layout.interpreter_frame.instr_ptr.offset);
  }

  const RuntimeLayout layout;
  PythonHeap heap;
  Runtime runtime;
  ReadOptions options;
  attach::Target target;
  Address interpreter, code;
  Address tstates[2], outer[2], inner[2], stacks[2];
};

TEST_P(RehearsalTest, NobodyMoved) {
  EXPECT_EQ(moved(rehearse()), 0u);
}

TEST_P(RehearsalTest, AFrameFurtherOutIsAtAnotherPlace) {
  const Rehearsal rehearsal = rehearse();
  heap.memory().put(outer[1] + place_in_frame(), std::uint32_t{12});
  EXPECT_EQ(moved(rehearsal), 1u);
}

TEST_P(RehearsalTest, TheInnermostFrameIsAtAnotherPlace) {
  const Rehearsal rehearsal = rehearse();
  heap.memory().put(inner[1] + place_in_frame(), std::uint32_t{12});
  EXPECT_EQ(moved(rehearsal), 1u);
}

TEST_P(RehearsalTest, ItsThreadStateChanged) {
  const Rehearsal rehearsal = rehearse();
  heap.set_frame(tstates[0], outer[0]);
  EXPECT_EQ(moved(rehearsal), 1u);
}

TEST_P(RehearsalTest, ItsStackIsAnother) {
  const Rehearsal rehearsal = rehearse();
  heap.memory().put(stacks[0] + 64, std::uint64_t{1});
  EXPECT_EQ(moved(rehearsal), 1u);
  target.threads[1].registers->values[attach::stack_pointer_register] += 16;
  EXPECT_EQ(moved(rehearsal), 2u);
}

TEST_P(RehearsalTest, ItSleepsOnAnotherFutexOrInNoCall) {
  const Rehearsal rehearsal = rehearse();
  target.threads[0].kernel_wait->arguments[0] = 0x9000;
  EXPECT_EQ(moved(rehearsal), 1u);
  target.threads[1].kernel_wait.reset();
  EXPECT_EQ(moved(rehearsal), 2u);
}

TEST_P(RehearsalTest, OneThatRanWasNotSeen) {
  target.threads[0].sleeping_sp.reset();
  EXPECT_EQ(moved(rehearse()), 1u);
}

TEST_P(RehearsalTest, AThreadCameSince) {
  const Rehearsal rehearsal = rehearse();
  heap.add_thread(interpreter, 0x5000);
  EXPECT_EQ(moved(rehearsal), 1u);
}

TEST_P(RehearsalTest, AThreadOfThreadingCameOrWentOrIsBeingStarted) {
  const Address active = heap.dict({{heap.integer(0x1000), heap.str("one")}});
  const Address limbo = heap.dict({});
  const Address variables = heap.dict({{heap.str("_active"), active}, {heap.str("_limbo"), limbo}});
  heap.set(interpreter, layout.interpreter.modules,
           heap.dict({{heap.str("threading"), heap.module(variables)}}));
  const Rehearsal rehearsal = rehearse();
  Reading held = reading();
  const RuntimeCopy copy = copy_interpreters(held);
  EXPECT_TRUE(rehearsal.knows_names(held, copy));
  const auto used = static_cast<std::uint64_t>(layout.dict.ma_used.offset);
  for (const auto& [table, before] : {std::pair(active, 1), std::pair(limbo, 0)}) {
    heap.memory().put(table + used, static_cast<std::uint64_t>(before + 1));
    EXPECT_FALSE(rehearsal.knows_names(held, copy));
    heap.memory().put(table + used, static_cast<std::uint64_t>(before));
    EXPECT_TRUE(rehearsal.knows_names(held, copy));
  }
}

TEST_P(RehearsalTest, AWaitForALockThatNobodyWaitedForIsNews) {
  const auto waiting_for = [](Address lock) {
    PyRuntimeState state;
    state.interpreters.emplace_back().threads.emplace_back().lock_wait = PyLockWait{lock, {}, {}, {}};
    return state;
  };
  const Rehearsal rehearsal = rehearse(waiting_for(Address(0x100)));
  EXPECT_FALSE(rehearsal.is_news(waiting_for(Address(0x100))));
  EXPECT_TRUE(rehearsal.is_news(waiting_for(Address(0x200))));
  EXPECT_FALSE(rehearsal.is_news({}));
}

std::string name_of(const testing::TestParamInfo<LayoutRow>& row) {
  return "v3_" + std::to_string(row.param.minor) + "_" + std::to_string(row.param.micro) +
         (row.param.kind.free_threaded ? "t" : "") + (row.param.kind.debug ? "d" : "") +
         (row.param.kind.linked_objects ? "_linked" : "");
}

INSTANTIATE_TEST_SUITE_P(Layouts, RehearsalTest,
                         testing::ValuesIn(layout_rows().begin(), layout_rows().end()), name_of);

}  // namespace
}  // namespace pythreads::pyframes
