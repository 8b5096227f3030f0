#include "pyframes/stack_places.h"

#include <gtest/gtest.h>

#include <string_view>

#include "pyframes/thread_ids.h"
#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using tests::BuiltRuntime;

constexpr std::uint64_t stack_bytes = 4096;

// A main thread and a worker, each with a stack, and thread states of any ident.
class Stacks {
 public:
  explicit Stacks(std::string_view build) : built(tests::table_of(build)) {
    main = add_stack();
    worker = add_stack();
    built.add_thread(1, main_ident, 0, main);
    built.add_thread(2, worker_ident, 0, worker);
  }

  // One more state, whose ident is of `ident`'s thread; its index.
  std::size_t add_state(std::uint64_t ident) {
    built.add_thread(0, ident, 0, Range{});
    return built.tstates.size() - 1;
  }

  void copy() {
    // Only two of them are threads of the kernel.
    built.copy_all();
    built.target.threads.resize(2);
    for (ThreadCopy& thread : threads()) thread.os_thread = nullptr;
    Reading reading = built.reading();
    match_os_threads(reading, built.copy);
  }

  void place() {
    Reading reading = built.reading();
    place_on_stacks(reading, built.copy);
  }

  void put(Address at, Address word) { built.objects.memory().put(at, word.value); }
  std::vector<ThreadCopy>& threads() { return built.copy.interpreters[0].threads; }
  const attach::ThreadState* os(std::size_t i) const { return &built.target.threads[i]; }

  static constexpr std::uint64_t main_ident = 0x1000, worker_ident = 0x2000;
  BuiltRuntime built;
  Range main, worker;

 private:
  Range add_stack() { return {built.objects.allocate(stack_bytes), stack_bytes}; }
};

// A state that main made and the worker runs: 3.12's CFrame and the entry frame since then say so.
TEST(StackPlaces, WhereItsLoopStandsIsWhoRunsIt) {
  for (const char* build : {"3.12.1", "3.13.5", "3.14.10t", "3.15.2"}) {
    SCOPED_TRACE(build);
    Stacks stacks(build);
    const std::size_t moved = stacks.add_state(Stacks::main_ident);
    stacks.copy();
    stacks.threads()[moved].entry_frame = stacks.worker.begin + 512;
    stacks.threads()[1].entry_frame = stacks.worker.begin + 2048;
    stacks.place();
    EXPECT_EQ(stacks.threads()[moved].os_thread, stacks.os(1));
    EXPECT_EQ(stacks.threads()[moved].stack_place, stacks.worker.begin + 512);
    EXPECT_FALSE(stacks.threads()[moved].suspended);
    EXPECT_TRUE(stacks.threads()[1].suspended)
        << "it stands higher on the same stack, so it was entered before";
    EXPECT_EQ(stacks.threads()[0].os_thread, stacks.os(0));
    EXPECT_FALSE(stacks.threads()[0].suspended);
  }
}

// The CFrame that a thread state has inside of itself stands on no stack.
TEST(StackPlaces, OfACFrameOnTheStackAndNotOfTheRootOne) {
  Stacks stacks("3.11.7");
  const RuntimeLayout& layout = stacks.built.runtime.layout;
  const std::size_t moved = stacks.add_state(Stacks::main_ident);
  const std::size_t idle = stacks.add_state(Stacks::main_ident);
  const auto cframe = layout.thread_state.cframe;
  stacks.built.objects.set(stacks.built.tstates[moved], cframe, stacks.worker.begin + 256);
  stacks.built.objects.set(stacks.built.tstates[idle], cframe, stacks.built.tstates[idle] + 200);
  stacks.copy();
  stacks.place();
  EXPECT_EQ(stacks.threads()[moved].os_thread, stacks.os(1));
  EXPECT_EQ(stacks.threads()[idle].os_thread, stacks.os(0)) << "only its ident tells";
  EXPECT_TRUE(stacks.threads()[idle].stack_place.is_null());
}

TEST(StackPlaces, AnAddressOnNoStackTellsNothing) {
  Stacks stacks("3.13.5");
  stacks.copy();
  stacks.threads()[1].entry_frame = stacks.worker.begin + stack_bytes;  // the first byte behind it
  stacks.threads()[0].entry_frame = stacks.main.begin - 8;
  stacks.place();
  EXPECT_EQ(stacks.threads()[0].os_thread, stacks.os(0));
  EXPECT_EQ(stacks.threads()[1].os_thread, stacks.os(1));
  EXPECT_TRUE(stacks.threads()[0].stack_place.is_null());
  EXPECT_TRUE(stacks.threads()[1].stack_place.is_null());
}

TEST(StackPlaces, AStateThatIsGoneRunsNowhere) {
  Stacks stacks("3.14.10");
  const std::size_t gone = stacks.add_state(Stacks::main_ident);
  stacks.copy();
  stacks.threads()[gone].gone = true;
  stacks.threads()[gone].os_thread = nullptr;
  stacks.threads()[gone].entry_frame = stacks.worker.begin + 512;
  stacks.place();
  EXPECT_EQ(stacks.threads()[gone].os_thread, nullptr);
  EXPECT_FALSE(stacks.threads()[1].suspended);
}

// Two states of one ident without any place: neither is said to be suspended.
TEST(StackPlaces, WithoutAPlaceNobodyIsSuspended) {
  Stacks stacks("3.14.10");
  const std::size_t other = stacks.add_state(Stacks::worker_ident);
  stacks.copy();
  stacks.threads()[other].os_thread = stacks.os(1);
  stacks.place();
  EXPECT_FALSE(stacks.threads()[1].suspended);
  EXPECT_FALSE(stacks.threads()[other].suspended);
  stacks.threads()[other].entry_frame = stacks.worker.begin + 64;
  stacks.place();
  EXPECT_TRUE(stacks.threads()[1].suspended) << "the one that runs is known now";
  EXPECT_FALSE(stacks.threads()[other].suspended);
}

// 3.8, 3.9: nothing is left on the stack but the words that a loop and its callers keep there.
class SearchedStacks : public testing::TestWithParam<const char*> {
 protected:
  SearchedStacks() : stacks(GetParam()), moved(stacks.add_state(Stacks::main_ident)) {
    stacks.copy();
    for (std::size_t i = 0; i < stacks.threads().size(); ++i) {
      FrameCopy frame;
      frame.address = stacks.built.objects.allocate(64);
      stacks.threads()[i].frames.push_back(frame);
      stacks.threads()[i].os_thread = stacks.os(i == 1 ? 1 : 0);
    }
    mention(0, stacks.main.begin + 1024);
    mention(1, stacks.worker.begin + 2048);
  }

  // The words of a loop that runs the state's innermost frame.
  void mention(std::size_t i, Address at) {
    stacks.put(at, stacks.threads()[i].frames.front().address);
    stacks.put(at + 24, stacks.threads()[i].tstate.at());
  }

  Stacks stacks;
  std::size_t moved;
};

TEST_P(SearchedStacks, WhoAloneHasFrameAndStateRunsIt) {
  mention(moved, stacks.worker.begin + 512);
  stacks.put(stacks.main.begin + 3000 / 8 * 8, stacks.threads()[moved].tstate.at());  // main made it
  stacks.place();
  EXPECT_EQ(stacks.threads()[moved].os_thread, stacks.os(1));
  EXPECT_EQ(stacks.threads()[moved].stack_place, stacks.worker.begin + 512);
  EXPECT_EQ(stacks.threads()[0].os_thread, stacks.os(0));
  EXPECT_EQ(stacks.threads()[0].stack_place, stacks.main.begin + 1024);
}

TEST_P(SearchedStacks, OnNoStackItIsNobodys) {
  stacks.place();
  EXPECT_EQ(stacks.threads()[moved].os_thread, nullptr);
  EXPECT_NE(stacks.threads()[moved].os_thread_gap.find("on no thread's stack"), std::string::npos);
  EXPECT_EQ(stacks.threads()[0].os_thread, stacks.os(0));
}

TEST_P(SearchedStacks, OnSeveralItIsNobodys) {
  mention(moved, stacks.worker.begin + 512);
  mention(moved, stacks.main.begin + 512);
  stacks.place();
  EXPECT_EQ(stacks.threads()[moved].os_thread, nullptr);
  EXPECT_NE(stacks.threads()[moved].os_thread_gap.find("several threads' stacks"), std::string::npos);
}

// Whose ident is its own is not searched for: what other stacks mention of it is no sign.
TEST_P(SearchedStacks, AnIdentOfItsOwnIsBelieved) {
  mention(1, stacks.main.begin + 256);
  mention(moved, stacks.main.begin + 512);
  stacks.place();
  EXPECT_EQ(stacks.threads()[1].os_thread, stacks.os(1));
  EXPECT_TRUE(stacks.threads()[1].stack_place.is_null());
  EXPECT_EQ(stacks.threads()[moved].os_thread, stacks.os(0));
  EXPECT_FALSE(stacks.threads()[moved].suspended);
  EXPECT_TRUE(stacks.threads()[0].suspended);
}

INSTANTIATE_TEST_SUITE_P(Versions, SearchedStacks, testing::Values("3.8.18", "3.9.18", "3.8.18r"),
                         [](const auto& build) {
                           std::string name(build.param);
                           for (char& letter : name) letter = letter == '.' ? '_' : letter;
                           return name;
                         });

}  // namespace
}  // namespace pythreads::pyframes
