#include "pyframes/exceptions.h"

#include <gtest/gtest.h>

#include "tests/unit/pyframes/object_builder.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::BuiltRuntime;

class Exceptions : public testing::TestWithParam<const RuntimeLayout*> {
 protected:
  Address exception(const std::string& type, Address args, const std::string& base = "") {
    const std::uint64_t flags = type_flag::base_exc_subclass;
    const Address base_at = base.empty() ? Address() : objects_.type(base, flags);
    const Address at = objects_.object(objects_.type(type, flags, 0, base_at), 160);
    objects_.set(at, layout_.base_exception.args, args);
    return at;
  }

  Address stack_item(Address value, Address previous = Address()) {
    const Address at = objects_.allocate(32);
    objects_.set(at, layout_.err_stack_item.exc_value, value);
    objects_.set(at, layout_.err_stack_item.previous_item, previous);
    return at;
  }

  // What is said of a thread that handles it.
  std::optional<PyException> read_item(Address item) {
    BuiltRuntime& built = built_;
    const Address tstate = built.add_thread(1, 0x1000);
    objects_.set(tstate, layout_.thread_state.exc_info, item);
    built.copy_all();
    Reading reading = built.reading();
    fetch_exceptions(reading, built.copy);
    read_exceptions(reading, built.copy, built.state);
    return built.thread(0).exception;
  }
  std::string message(Address value) {
    const Address item = stack_item(value);
    BuiltRuntime other(*GetParam());
    const Address tstate = objects_.allocate(BuiltRuntime::thread_bytes);
    objects_.set(tstate, layout_.thread_state.exc_info, item);
    RuntimeCopy copy;
    copy.interpreters.emplace_back();
    copy.interpreters[0].threads.emplace_back();
    copy.interpreters[0].threads[0].tstate =
        *StructCopy::read(objects_.memory(), tstate, BuiltRuntime::thread_bytes);
    PyRuntimeState state;
    state.interpreters.emplace_back();
    state.interpreters[0].threads.emplace_back();
    Reading reading = built_.reading();
    read_exceptions(reading, copy, state);
    const std::optional<PyException>& found = state.interpreters[0].threads[0].exception;
    return found ? found->message : "<none>";
  }

  BuiltRuntime built_{*GetParam()};
  tests::ObjectBuilder& objects_ = built_.objects;
  const RuntimeLayout& layout_ = built_.runtime.layout;
};

TEST_P(Exceptions, AreTheTopmostOfTheChain) {
  const Address outer = stack_item(exception("KeyError", objects_.tuple({objects_.str("outer")})));
  const Address inner = stack_item(Address(), stack_item(objects_.none(), outer));
  const std::optional<PyException> found = read_item(inner);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->type, "KeyError");
  EXPECT_EQ(found->message, "'outer'");
  EXPECT_EQ(found->raised_at_line, 0);
}

TEST_P(Exceptions, AreNoneOutsideOfAHandler) {
  EXPECT_FALSE(read_item(stack_item(objects_.none())));
  EXPECT_TRUE(built_.thread(0).gaps.empty());
}

TEST_P(Exceptions, OfABrokenChainAreAGap) {
  EXPECT_FALSE(read_item(Address(0x10)));
  EXPECT_EQ(built_.thread(0).gaps.size(), 1U);
}

TEST_P(Exceptions, OfAnEndlessChainEnd) {
  const Address item = stack_item(Address());
  objects_.set(item, layout_.err_stack_item.previous_item, item);
  EXPECT_FALSE(read_item(item));
}

TEST_P(Exceptions, HaveTheMessageThatStrGives) {
  const auto str = [&](std::string_view text) { return objects_.str(text); };
  EXPECT_EQ(message(exception("ValueError", objects_.tuple({}))), "");
  EXPECT_EQ(message(exception("ValueError", objects_.tuple({str("it's")}))), "it's");
  EXPECT_EQ(message(exception("ValueError", objects_.tuple({objects_.integer(3)}))), "3");
  EXPECT_EQ(message(exception("ValueError", objects_.tuple({str("a"), objects_.integer(1)}))), "('a', 1)");
  EXPECT_EQ(message(exception("KeyError", objects_.tuple({str("a")}))), "'a'");
  EXPECT_EQ(message(exception("MissingError", objects_.tuple({str("a")}), "KeyError")), "'a'");
  const Address cause = exception("ValueError", objects_.tuple({str("why")}));
  EXPECT_EQ(message(exception("RuntimeError", objects_.tuple({cause}))), "why");
}

TEST_P(Exceptions, OfTheSystemHaveNumberTextAndFile) {
  const Address args = objects_.tuple({objects_.integer(2), objects_.str("No such file or directory")});
  const Address error = exception("FileNotFoundError", args, "OSError");
  const Address fields = error + static_cast<std::uint64_t>(layout_.base_exception.cause.offset) + 16;
  objects_.memory().put(fields, objects_.integer(2).value);
  objects_.memory().put(fields + 8, objects_.str("No such file or directory").value);
  EXPECT_EQ(message(error), "[Errno 2] No such file or directory");
  objects_.memory().put(fields + 16, objects_.str("/x y").value);
  EXPECT_EQ(message(error), "[Errno 2] No such file or directory: '/x y'");
  objects_.memory().put(fields + 24, objects_.str("/z").value);
  EXPECT_EQ(message(error), "[Errno 2] No such file or directory: '/x y' -> '/z'");
  EXPECT_EQ(message(exception("BlockingIOError", objects_.tuple({objects_.str("plain")}), "OSError")),
            "plain");
}

TEST_P(Exceptions, HideSecretsBeforeTheyAreCut) {
  EXPECT_EQ(message(exception("E", objects_.tuple({objects_.str("at http://u:hunter2@h")}))),
            "at http://u:<redacted>@h");
  const std::string text = message(exception("E", objects_.tuple({objects_.str(std::string(3000, 'x'))})));
  EXPECT_EQ(text, std::string(200, 'x') + "…");
  built_.options.redact = false;
  EXPECT_EQ(message(exception("E", objects_.tuple({objects_.str("http://u:hunter2@h")}))),
            "http://u:hunter2@h");
}

TEST_P(Exceptions, WithATracebackThatRunsInACircleHaveNoPlace) {
  const Address error = exception("E", objects_.tuple({}));
  const Address traceback = objects_.object(objects_.type("traceback"), 64);
  objects_.set(error, layout_.base_exception.traceback, traceback);
  objects_.set(traceback, layout_.traceback.tb_next, traceback);
  const std::optional<PyException> found = read_item(stack_item(error));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->raised_at_file, "");
  EXPECT_EQ(found->raised_at_line, 0);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Exceptions,
                         testing::Values(&tests::table_of("3.8.18"), &tests::table_of("3.11.7"),
                                         &tests::table_of("3.13.5t"), &tests::table_of("3.14.10")));

}  // namespace
}  // namespace pythreads::pyframes
