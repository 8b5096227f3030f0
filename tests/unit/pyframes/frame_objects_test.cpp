#include "pyframes/frame_objects.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "pyframes/sync_objects.h"
#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

using Variables = std::vector<std::pair<std::string, Address>>;

class FrameObjects : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  FrameObjects() {
    built_.add_thread(1, 0x1000);
    built_.copy_all();
  }

  // A frame of this function whose variables are these; null: not set.
  void add_frame(const std::string& module, const std::string& function, const Variables& variables) {
    const RuntimeLayout& layout = *GetParam();
    const auto count = variables.size();
    const Address code = objects_.object(objects_.type("code"), static_cast<std::uint64_t>(layout.code.size));
    std::vector<Address> names;
    for (const auto& [name, value] : variables) names.push_back(objects_.str(name));
    objects_.set(code, layout.code.co_name, objects_.str(function));
    objects_.set(code, layout.code.co_flags, 3);  // CO_OPTIMIZED, CO_NEWLOCALS
    objects_.set(code, layout.code.co_nlocals, count);
    objects_.set(code, layout.code.co_nlocalsplus, count);
    objects_.set(code, layout.code.co_stacksize, 2);
    objects_.set(code, layout.code.co_varnames, objects_.tuple(names));
    objects_.set(code, layout.code.co_cellvars, objects_.tuple({}));
    objects_.set(code, layout.code.co_freevars, objects_.tuple({}));
    objects_.set(code, layout.code.co_localsplusnames, objects_.tuple(names));
    objects_.set(code, layout.code.co_localspluskinds, objects_.bytes(std::string(count, '\x20')));
    const bool before = layout.frame_style == FrameStyle::frame_objects;
    const Address globals = objects_.dict({{objects_.str("__name__"), objects_.str(module)}});
    const Address frame = objects_.allocate(1024);
    objects_.set(frame, before ? layout.frame_object.f_globals : layout.interpreter_frame.f_globals, globals);
    const PointerField slots =
        before ? layout.frame_object.f_localsplus : layout.interpreter_frame.localsplus;
    for (std::size_t i = 0; i < count; ++i) {
      objects_.memory().put(frame + static_cast<std::uint64_t>(slots.offset) + 8 * i,
                            variables[i].second.value);
    }
    FrameCopy copy;
    copy.address = frame;
    copy.code = code;
    copy.frame = *StructCopy::read(objects_.memory(), frame, 256);
    built_.copy.interpreters[0].threads[0].frames.push_back(std::move(copy));
  }

  Address lock(const std::string& type = "_thread.lock") {
    return objects_.object(objects_.type(type, 0, 8 + GetParam()->object.size), 128);
  }
  // A future of this state.
  Address future(const std::string& state) {
    const RuntimeLayout& layout = *GetParam();
    const bool before = layout.attribute_style != AttributeStyle::dict_offset;
    const Address type =
        objects_.type("Future", type_flag::heap_type | (before ? type_flag::managed_dict : 0), 64);
    objects_.set(type, layout.heap_type.ht_qualname, objects_.str("Future"));
    objects_.set(type, layout.type.tp_dict,
                 objects_.dict({{objects_.str("__module__"), objects_.str("concurrent.futures._base")}}));
    return objects_.instance("Future", objects_.dict({{objects_.str("_state"), objects_.str(state)}}));
  }

  const std::vector<PyFrameObject>& run(bool held = false) {
    Reading reading = built_.reading();
    reading.held = held;
    read_frame_objects(reading, built_.copy, built_.state);
    return built_.thread(0).frame_objects;
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
};

TEST_P(FrameObjects, AreTheVariablesOfTheTable) {
  const Address waited = lock(), queue = lock("_queue.SimpleQueue");
  add_frame("threading", "wait", {{"timeout", lock()}, {"self", waited}});
  add_frame("bank", "transfer", {{"self", lock()}});
  add_frame("concurrent.futures.thread", "_worker",
            {{"executor_reference", Address()}, {"work_queue", queue}});
  const std::vector<PyFrameObject>& found = run();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].frame, 0U);
  EXPECT_EQ(found[0].variable, "self");
  EXPECT_EQ(found[0].object, waited);
  EXPECT_EQ(found[1].frame, 2U);
  EXPECT_EQ(found[1].variable, "work_queue");
  EXPECT_EQ(found[1].object, queue);
}

TEST_P(FrameObjects, AreTheSameWhileHeld) {
  const Address waited = lock();
  add_frame("threading", "wait", {{"self", waited}});
  const std::vector<PyFrameObject>& found = run(true);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].object, waited);
}

TEST_P(FrameObjects, AreNotTakenFromAProgramsOwnFunctionOfTheName) {
  add_frame("bank", "wait", {{"self", lock()}});
  EXPECT_TRUE(run().empty());
}

TEST_P(FrameObjects, AreOnlyWhatSynchronizes) {
  add_frame("threading", "wait", {{"self", objects_.str("no lock")}});
  add_frame("threading", "join", {{"self", Address()}});
  add_frame("threading", "acquire", {{"self", Address(0x7000'0000'0000)}});
  add_frame("threading", "wait_for", {});
  EXPECT_TRUE(run().empty());
}

TEST_P(FrameObjects, OfAnAttributeAreNamedByIt) {
  const Address pending = future("RUNNING");
  const Address item = objects_.instance("_WorkItem", objects_.dict({{objects_.str("future"), pending}}));
  add_frame("concurrent.futures.thread", "run", {{"self", item}});
  const std::vector<PyFrameObject>& found = run();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].variable, "self.future");
  EXPECT_EQ(found[0].object, pending);
}

TEST_P(FrameObjects, OfAWaitForManyFuturesAreThoseThatAreNotDone) {
  const Address one = future("PENDING"), two = future("RUNNING"), done = future("FINISHED");
  const Address fs = objects_.list({one, done, two, one, objects_.str("no future")});
  add_frame("concurrent.futures._base", "wait", {{"fs", fs}});
  const std::vector<PyFrameObject>& found = run();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].object, one);
  EXPECT_EQ(found[1].object, two);
  EXPECT_EQ(found[0].variable, "pending");
}

TEST_P(FrameObjects, OfACollectionThatLiesAreFewOrNone) {
  const Address fs = objects_.list({future("PENDING")});
  objects_.set(fs, GetParam()->list.ob_size, std::int64_t{1} << 60);
  add_frame("concurrent.futures._base", "wait", {{"fs", fs}});
  EXPECT_LE(run().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Layouts, FrameObjects,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.10.13"),
                                         &tests::table_of("3.11.7"), &tests::table_of("3.13.5"),
                                         &tests::table_of("3.13.5t"), &tests::table_of("3.14.10")));

}  // namespace
}  // namespace pythreads::pyframes
