// Stacks of a real program that stands in known places.
#include "unwinder/walk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <tuple>

#include "attach/attachment.h"

namespace pythreads::unwinder {
namespace {

// Runs a program, waits until it says READY and sleeps, and ends it by its pid.
class Child {
 public:
  Child(std::vector<std::string> command, bool will_sleep = true) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    said_ = attach::ScopedFd(ends[0]);  // kept open: it may say more
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    char said[6] = {};
    std::size_t got = 0;
    while (got < 5) {
      const ssize_t count = ::read(ends[0], said + got, 5 - got);
      if (count <= 0) break;
      got += static_cast<std::size_t>(count);
    }
    EXPECT_STREQ(said, "READY") << command[0];
    if (will_sleep) {
      EXPECT_TRUE(wait_until_all_sleep());
    }
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }

 private:
  bool wait_until_all_sleep() const {
    for (int i = 0; i < 1000; ++i) {
      bool all = true;
      for (const auto& task :
           std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
        std::ifstream stat(task.path() / "stat");
        std::string text((std::istreambuf_iterator<char>(stat)), {});
        const std::size_t name_end = text.rfind(')');
        all = all && name_end != std::string::npos && text.substr(name_end + 2, 1) == "S";
      }
      if (all) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  pid_t pid_ = 0;
  attach::ScopedFd said_;
};

std::string target_path(std::string_view name) {
  return std::string(PYTHREADS_STACK_TARGETS).append(name);
}

// Answers some questions itself: a debug file, or the wrong file for a module.
class OtherFiles final : public attach::TargetFiles {
 public:
  std::string debug_file;
  std::string instead_of_each;
  attach::TargetFiles* files = nullptr;

  attach::Result<attach::ScopedFd> open_mapping(const attach::Mapping& mapping) override {
    return instead_of_each.empty() ? files->open_mapping(mapping) : open_ours(instead_of_each);
  }
  attach::Result<attach::ScopedFd> open_path(std::string_view path) override {
    return files->open_path(path);
  }
  attach::Result<attach::ScopedFd> open_debug_file(std::string_view build_id) override {
    return debug_file.empty() ? files->open_debug_file(build_id) : open_ours(debug_file);
  }

 private:
  static attach::Result<attach::ScopedFd> open_ours(const std::string& path) {
    attach::ScopedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(file.is_open()) << path;
    return file;
  }
};

std::vector<NativeStack> stacks_of(const Child& child, std::uint64_t stack_bytes = 256 * 1024,
                                   OtherFiles other = {}, Detail detail = Detail::names) {
  std::vector<NativeStack> stacks;
  auto attachment = attach::Attachment::prepare(child.pid());
  EXPECT_TRUE(attachment.ok()) << attachment.error().message;
  if (!attachment) return stacks;
  attach::HoldOptions options;
  options.stack_bytes = stack_bytes;
  // A handler on a stack of its own leads back to the thread's stack, which is not copied by itself then.
  auto stop = attachment->hold(options, [](attach::Target& held) {
    for (const attach::Mapping& mapping : held.mappings) {
      if (mapping.path != "[stack]") continue;
      constexpr std::uint64_t size = 32 * 1024;
      const attach::Range top{mapping.range.end() - size, size};
      held.memory->prefetch(std::span(&top, 1));
    }
  });
  EXPECT_TRUE(stop.ok()) << stop.error().message;
  if (!stop) return stacks;
  attach::Target& target = attachment->target();
  other.files = target.files.get();
  Unwinder unwinder(target.modules, other, target.mappings);
  for (const attach::ThreadState& thread : target.threads) {
    EXPECT_TRUE(thread.registers) << thread.gap;
    if (!thread.registers) continue;
    stacks.push_back(unwinder.walk(*thread.registers, *target.memory, *target.lasting));
  }
  for (NativeStack& stack : stacks) unwinder.symbolize(stack, detail);
  return stacks;
}

std::vector<std::string> names(const NativeStack& stack) {
  std::vector<std::string> list;
  for (const NativeFrame& frame : stack.frames) list.push_back(frame.function);
  return list;
}

// The part of `stack` from the frame called `from` on, `count` names.
std::vector<std::string> names_from(const NativeStack& stack, std::string_view from, std::size_t count) {
  std::vector<std::string> list = names(stack);
  const auto begin = std::find(list.begin(), list.end(), from);
  list.erase(list.begin(), begin);
  list.resize(std::min(list.size(), count));
  return list;
}

void expect_exact_to_the_root(const NativeStack& stack) {
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap << "\n" << testing::PrintToString(names(stack));
  for (const NativeFrame& frame : stack.frames) EXPECT_EQ(frame.trust, FrameTrust::exact);
}

using Names = std::vector<std::string>;

TEST(Walk, NamesOfNestedFunctionsInOrder) {
  const Child child({target_path("stack_target"), "threads"});
  const std::vector<NativeStack> stacks = stacks_of(child);
  ASSERT_EQ(stacks.size(), 4u);
  for (const NativeStack& stack : stacks) expect_exact_to_the_root(stack);

  const Names main_thread = {"shapes::wait_for_signal()", "shapes::Circle<double>::draw(double)",
                             "shapes::draw_all(int)", "shapes::local_function(int)", "main"};
  EXPECT_EQ(names_from(stacks[0], "shapes::wait_for_signal()", 5), main_thread);
  EXPECT_EQ(stacks[0].frames.back().function, "_start");
  EXPECT_GT(stacks[0].frames[1].symbol_offset, 0u);
  EXPECT_TRUE(stacks[0].frames[1].module.ends_with("stack_target"));

  const Names first_thread = {"shapes::wait_for_signal()", "shapes::Circle<double>::draw(double)",
                              "shapes::draw_all(int)", "(anonymous namespace)::wait_in_pause(void*)"};
  EXPECT_EQ(names_from(stacks[1], "shapes::wait_for_signal()", 4), first_thread);
  EXPECT_EQ(names_from(stacks[2], "pthread_cond_wait", 2),
            (Names{"pthread_cond_wait", "(anonymous namespace)::wait_for_condition(void*)"}));
  EXPECT_EQ(names_from(stacks[3], "(anonymous namespace)::wait_for_semaphore(void*)", 1).size(), 1u);
}

TEST(Walk, TheNameWithFewerUnderscoresOfTwo) {
  const Child child({target_path("stack_target"), "alias"});
  const std::vector<NativeStack> stacks = stacks_of(child);
  ASSERT_EQ(stacks.size(), 1u);
  EXPECT_EQ(names_from(stacks[0], "plain_wait", 3), (Names{"plain_wait", "call_back", "main"}));
}

TEST(Walk, WithoutSymbolsTheModuleAndTheOffsetRemain) {
  const Child whole({target_path("stack_target"), "threads"});
  const Child stripped({target_path("stack_target_stripped"), "threads"});
  const NativeStack with = stacks_of(whole).at(0);
  const NativeStack without = stacks_of(stripped).at(0);
  expect_exact_to_the_root(without);
  ASSERT_EQ(with.frames.size(), without.frames.size());
  std::size_t in_the_program = 0;
  for (std::size_t i = 0; i < with.frames.size(); ++i) {
    EXPECT_EQ(with.frames[i].module_offset, without.frames[i].module_offset);
    if (!without.frames[i].module.ends_with("stack_target_stripped")) continue;
    EXPECT_EQ(without.frames[i].function, "");
    ++in_the_program;
  }
  EXPECT_EQ(in_the_program, 6u);
}

TEST(Walk, NamesFromMiniDebuginfo) {
  const Child child({target_path("stack_target_mini"), "threads"});
  const std::vector<NativeStack> stacks = stacks_of(child);
  ASSERT_EQ(stacks.size(), 4u);
  // Only these are in the list that it was made with.
  EXPECT_EQ(
      names_from(stacks[0], "shapes::wait_for_signal()", 5),
      (Names{"shapes::wait_for_signal()", "", "shapes::draw_all(int)", "shapes::local_function(int)", ""}));
}

// Each name with its line; the line is told by what stands there.
std::vector<std::string> lines_of(const NativeStack& stack, std::string_view from, std::size_t count) {
  std::vector<std::string> source(1);
  std::ifstream text(PYTHREADS_STACK_TARGET_SOURCE);
  for (std::string line; std::getline(text, line);)
    source.push_back(line.substr(std::min(line.size(), line.find_first_not_of(' '))));
  std::vector<std::string> list;
  for (const NativeFrame& frame : stack.frames) {
    if (list.empty() && frame.function != from) continue;
    if (list.size() == count) break;
    const bool is_known = frame.file.ends_with("stack_target.cpp") && frame.line > 0 &&
                          static_cast<std::size_t>(frame.line) < source.size();
    list.push_back((frame.inlined ? "[inlined] " : "") + frame.function + ": " +
                   (is_known ? source[static_cast<std::size_t>(frame.line)] : frame.file.str()));
  }
  return list;
}

const Names inlined_lines = {"[inlined] shapes::inlined_innermost(int): wait_for_signal();",
                             "[inlined] shapes::inlined_middle(int): inlined_innermost(count);",
                             "shapes::calls_inlined(int): inlined_middle(count);",
                             "main: shapes::calls_inlined(count);"};

TEST(Walk, InlinedCallsAndLines) {
  const Child child({target_path("stack_target"), "inlined"});
  const NativeStack stack = stacks_of(child, 256 * 1024, {}, Detail::names_and_lines).at(0);
  expect_exact_to_the_root(stack);
  EXPECT_EQ(lines_of(stack, "shapes::inlined_innermost(int)", 4), inlined_lines);
}

TEST(Walk, NamesAndLinesFromADebugFile) {
  const Child child({target_path("stack_target_stripped"), "inlined"});
  OtherFiles other;
  other.debug_file = target_path("stack_target.debug");
  const NativeStack stack = stacks_of(child, 256 * 1024, other, Detail::names_and_lines).at(0);
  EXPECT_EQ(lines_of(stack, "shapes::inlined_innermost(int)", 4), inlined_lines);
}

TEST(Walk, ADebugFileOfAnotherBuildIsNotUsed) {
  const Child child({target_path("stack_target_stripped"), "inlined"});
  OtherFiles other;
  other.debug_file = "/proc/self/exe";
  const NativeStack stack = stacks_of(child, 256 * 1024, other, Detail::names_and_lines).at(0);
  for (const NativeFrame& frame : stack.frames) {
    if (frame.module.ends_with("stack_target_stripped")) {
      EXPECT_EQ(frame.function, "");
    }
  }
}

// The tables are in the target's memory as well; the names are not.
TEST(Walk, AFileThatIsNotTheMappedOneIsNotUsed) {
  const Child child({target_path("stack_target"), "threads"});
  OtherFiles other;
  other.instead_of_each = "/proc/self/exe";
  const std::vector<NativeStack> stacks = stacks_of(child, 256 * 1024, other);
  ASSERT_EQ(stacks.size(), 4u);
  for (const NativeStack& stack : stacks) {
    expect_exact_to_the_root(stack);
    for (const NativeFrame& frame : stack.frames) EXPECT_EQ(frame.function, "");
  }
}

TEST(Walk, AskedTwiceItSaysTheSame) {
  const Child child({target_path("stack_target"), "inlined"});
  auto attachment = attach::Attachment::prepare(child.pid());
  ASSERT_TRUE(attachment.ok());
  ASSERT_TRUE(attachment->hold({}, [](attach::Target&) {}).ok());
  attach::Target& target = attachment->target();
  Unwinder unwinder(target.modules, *target.files, target.mappings);
  NativeStack stack = unwinder.walk(*target.threads.at(0).registers, *target.memory, *target.lasting);
  unwinder.symbolize(stack, Detail::names);
  const Names without_lines = names(stack);
  unwinder.symbolize(stack, Detail::names_and_lines);
  const Names with_lines = names(stack);
  EXPECT_EQ(with_lines.size(), without_lines.size() + 2);
  unwinder.symbolize(stack, Detail::names_and_lines);
  EXPECT_EQ(names(stack), with_lines);
}

// Names, lines, inlined calls and what a signal interrupted, without a look into any file.
TEST(Walk, WhatWasLearnedNeedNotBeLookedUp) {
  for (const char* mode : {"inlined", "signal_stack"}) {
    const Child child({target_path("stack_target"), mode});
    auto attachment = attach::Attachment::prepare(child.pid());
    ASSERT_TRUE(attachment.ok());
    ASSERT_TRUE(attachment->hold({}, [](attach::Target&) {}).ok());
    attach::Target& target = attachment->target();
    Unwinder elsewhere(target.modules, *target.files, target.mappings);
    const NativeStack walked =
        elsewhere.walk(*target.threads.at(0).registers, *target.memory, *target.lasting);
    NativeStack told = walked;
    elsewhere.symbolize(told, Detail::names_and_lines);

    OtherFiles nothing;
    nothing.instead_of_each = "/dev/null";
    nothing.files = target.files.get();
    Unwinder unwinder(target.modules, nothing, target.mappings);
    NativeStack unknown = walked;
    unwinder.symbolize(unknown, Detail::names_and_lines);
    EXPECT_NE(names(unknown), names(told));
    Unwinder taught(target.modules, nothing, target.mappings);
    const NativeStack* const one = &told;
    taught.learn(std::span(&one, 1), Detail::names_and_lines);
    NativeStack stack = walked;
    taught.symbolize(stack, Detail::names_and_lines);
    ASSERT_EQ(names(stack), names(told)) << mode;
    for (std::size_t i = 0; i < stack.frames.size(); ++i) {
      const NativeFrame& a = stack.frames[i];
      const NativeFrame& b = told.frames[i];
      EXPECT_EQ(std::tuple(a.pc, a.module_offset, a.symbol_offset, a.file.str(), a.line, a.inlined),
                std::tuple(b.pc, b.module_offset, b.symbol_offset, b.file.str(), b.line, b.inlined));
    }
  }
}

TEST(Walk, ThroughASignalHandler) {
  for (const char* mode : {"signal", "signal_stack"}) {
    const Child child({target_path("stack_target"), mode});
    const std::vector<NativeStack> stacks = stacks_of(child);
    ASSERT_EQ(stacks.size(), 1u);
    expect_exact_to_the_root(stacks[0]);
    const NativeStack& stack = stacks[0];
    const auto trampoline = std::find_if(stack.frames.begin(), stack.frames.end(),
                                         [](const NativeFrame& frame) { return frame.signal_trampoline; });
    ASSERT_NE(trampoline, stack.frames.end()) << mode;
    EXPECT_EQ(std::prev(trampoline)->function, "(anonymous namespace)::in_signal_handler(int)");
    EXPECT_EQ(std::next(trampoline)->function, "(anonymous namespace)::interrupted_function()");
  }
}

TEST(Walk, ThroughACallOfANullPointer) {
  const Child child({target_path("stack_target"), "null_call"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap;
  EXPECT_EQ(names_from(stack, "(anonymous namespace)::call_through_null()", 2),
            (Names{"(anonymous namespace)::call_through_null()", "main"}));
  EXPECT_EQ(stack.frames.back().trust, FrameTrust::scanned);
  EXPECT_EQ(stack.frames.front().trust, FrameTrust::exact);
}

TEST(Walk, FramePointersWhereThereIsNoTable) {
  const Child child({target_path("stack_target"), "frame_pointer"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap;
  const Names expected = {"(anonymous namespace)::ready_and_wait()", "without_cfi_with_frame_pointer",
                          "main"};
  EXPECT_EQ(names_from(stack, expected[0], 3), expected);
  EXPECT_EQ(stack.frames.back().trust, FrameTrust::scanned);
}

TEST(Walk, ALeafWithoutTableIsLeftByTheTopOfTheStack) {
  const Child child({target_path("stack_target"), "leaf"}, false);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap;
  EXPECT_EQ(names_from(stack, "without_cfi_leaf", 3),
            (Names{"without_cfi_leaf", "(anonymous namespace)::spin_in_leaf()", "main"}));
}

TEST(Walk, TheStackIsScannedWhereThereIsNeitherTableNorFramePointer) {
  const Child child({target_path("stack_target"), "nothing"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap;
  const Names expected = {"(anonymous namespace)::ready_and_wait()", "without_cfi_without_frame_pointer",
                          "main"};
  EXPECT_EQ(names_from(stack, expected[0], 3), expected);
  for (const NativeFrame& frame : stack.frames) {
    if (frame.function == expected[2]) break;
    EXPECT_EQ(frame.trust, FrameTrust::exact) << frame.function;
  }
  EXPECT_EQ(stack.frames.back().trust, FrameTrust::scanned);
}

TEST(Walk, ThroughCodeMadeAtRunTime) {
  const Child child({target_path("stack_target"), "made_code"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::root) << stack.gap;
  const Names expected = {"(anonymous namespace)::ready_and_wait()", "",
                          "(anonymous namespace)::run_made_code(void (*)(void (*)()))", "main"};
  EXPECT_EQ(names_from(stack, expected[0], 4), expected);
}

TEST(Walk, CodeMadeAtRunTimeWithoutFramePointersEndsInAGap) {
  const Child child({target_path("stack_target"), "made_code_without_frame_pointer"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::gap);
  EXPECT_EQ(stack.frames.back().module, "");
  EXPECT_EQ(stack.frames.back().trust, FrameTrust::exact);
}

TEST(Walk, ACorruptReturnAddressIsNoFrame) {
  const Child child({target_path("stack_target"), "corrupt"});
  const NativeStack stack = stacks_of(child).at(0);
  EXPECT_EQ(stack.end, StackEnd::gap);
  EXPECT_NE(stack.gap.find("0x414141414141"), std::string::npos) << stack.gap;
  EXPECT_EQ(stack.frames.back().function, "(anonymous namespace)::corrupts_its_return_address()");
}

TEST(Walk, ADeepStackEndsAtTheBound) {
  const Child child({target_path("stack_target"), "deep"});
  const NativeStack stack = stacks_of(child, 8u << 20).at(0);
  EXPECT_EQ(stack.end, StackEnd::gap);
  EXPECT_EQ(stack.frames.size(), 10000u);
  EXPECT_NE(stack.gap.find("10000"), std::string::npos) << stack.gap;
}

TEST(Walk, AStackThatWasCopiedInPartEndsInAGap) {
  const Child child({target_path("stack_target"), "deep"});
  const NativeStack stack = stacks_of(child, 16u << 10).at(0);
  EXPECT_EQ(stack.end, StackEnd::gap);
  EXPECT_GT(stack.frames.size(), 100u);
  EXPECT_NE(stack.gap, "");
}

TEST(Walk, ThePythonOfTheSystemToTheRoot) {
  const Child child({"/usr/bin/python3", "-c",
                     "import threading, time\n"
                     "lock = threading.Lock(); lock.acquire()\n"
                     "for i in range(5): threading.Thread(target=lock.acquire, daemon=True).start()\n"
                     "print('READY', flush=True); time.sleep(1000)"});
  const std::vector<NativeStack> stacks = stacks_of(child);
  ASSERT_EQ(stacks.size(), 6u);
  for (const NativeStack& stack : stacks) expect_exact_to_the_root(stack);
  EXPECT_FALSE(names_from(stacks[0], "Py_BytesMain", 1).empty());
  EXPECT_FALSE(names_from(stacks[1], "PyThread_acquire_lock_timed", 1).empty());
}

}  // namespace
}  // namespace pythreads::unwinder
