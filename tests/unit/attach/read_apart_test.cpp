#include "attach/read_apart.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace pythreads::attach {
namespace {

using std::chrono::steady_clock;

// Opens one file for whoever asks, and remembers what was asked for.
class OneFile : public TargetFiles {
 public:
  explicit OneFile(std::vector<std::string>& asked) : asked_(asked) {}
  Result<ScopedFd> open_mapping(const Mapping& mapping) override { return opened("mapping " + mapping.path); }
  Result<ScopedFd> open_path(std::string_view path) override { return opened("path " + std::string(path)); }
  Result<ScopedFd> open_debug_file(std::string_view id) override {
    return id == "beef" ? Result<ScopedFd>(Error{ErrorCode::unreadable, "there is none", {}})
                        : opened("debug " + std::string(id));
  }

 private:
  Result<ScopedFd> opened(std::string what) {
    asked_.push_back(std::move(what));
    return ScopedFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  }
  std::vector<std::string>& asked_;
};

class ReadApart : public testing::Test {
 protected:
  void SetUp() override {
    target_.process.pid = 4711;
    target_.files = std::make_unique<OneFile>(asked_);
    Module module;
    module.build_id = "c0ffee";
    module.first_mapping.range = {Address(0x1000), 0x1000};
    module.first_mapping.path = "/lib/libone.so";
    target_.modules.push_back(module);
    module.build_id = "beef";
    module.first_mapping.range = {Address(0x8000), 0x1000};
    target_.modules.push_back(module);
  }

  Result<std::string> read(const std::function<std::string(Target&)>& how,
                           std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    return apart_.read(target_, steady_clock::now() + patience, how);
  }

  Target target_;
  ReadingApart apart_;
  std::vector<std::string> asked_;
};

[[noreturn]] void hang() {
  for (;;) ::sched_yield();
}

std::string first_bytes(const Result<ScopedFd>& file) {
  if (!file) return "error: " + file.error().message;
  char bytes[4] = {};
  if (::pread(file->get(), bytes, sizeof bytes, 0) != 4) return "unreadable";
  return {bytes + 1, 3};
}

TEST_F(ReadApart, GivesWhatWasReadThere) {
  std::string long_text;
  for (int i = 0; i < 500'000; ++i) long_text += std::to_string(i);
  int here = 1;
  const Result<std::string> result = read([&](Target&) {
    here = 2;
    return long_text;
  });
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result, long_text);
  EXPECT_EQ(here, 1);
  EXPECT_EQ(*read([](Target&) { return std::string(); }), "");
}

TEST_F(ReadApart, GetsTheFilesOfModulesAndNoOthers) {
  const Result<std::string> result = read([](Target& target) {
    Mapping known;
    known.range = {Address(0x1000), 1};
    known.path = "/etc/shadow";  // what it is called is known by who opens it
    Mapping unknown;
    unknown.range = {Address(0x2000), 0x1000};
    unknown.path = "/lib/libone.so";
    std::string text = first_bytes(target.files->open_mapping(known));
    text += "\n" + first_bytes(target.files->open_mapping(unknown));
    text += "\n" + first_bytes(target.files->open_debug_file("c0ffee"));
    text += "\n" + first_bytes(target.files->open_debug_file("beef"));
    text += "\n" + first_bytes(target.files->open_debug_file("../../shadow"));
    return text + "\n" + first_bytes(target.files->open_path("/etc/passwd"));
  });
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(*result,
            "ELF\nerror: no module is mapped there\nELF\nerror: there is none\n"
            "error: no module has that build id\nerror: no file is opened by its path alone: /etc/passwd");
  EXPECT_EQ(asked_, (std::vector<std::string>{"mapping /lib/libone.so", "debug c0ffee"}));
}

TEST_F(ReadApart, ACrashIsAnError) {
  const Result<std::string> crashed = read([](Target&) -> std::string {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's own would tell of it and end
    ::raise(SIGSEGV);
    return "not reached";
  });
  ASSERT_FALSE(crashed.ok());
  EXPECT_EQ(crashed.error().code, ErrorCode::internal);
  EXPECT_EQ(crashed.error().message,
            "what read process 4711 was killed by SIGSEGV; the process itself goes on");

  const Result<std::string> ended = read([](Target&) -> std::string { ::_exit(3); });
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().message, "what read process 4711 ended with 3; the process itself goes on");

  const Result<std::string> thrown =
      read([](Target&) -> std::string { throw std::length_error("too long"); });
  ASSERT_FALSE(thrown.ok());
  EXPECT_EQ(thrown.error().message, "process 4711 could not be read: too long");
  EXPECT_EQ(*read([](Target&) { return std::string("the next one"); }), "the next one");
}

TEST_F(ReadApart, WhatHangsIsKilledAtTheDeadline) {
  const auto began = steady_clock::now();
  const Result<std::string> result =
      read([](Target&) -> std::string { hang(); }, std::chrono::milliseconds(300));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::deadline_passed);
  EXPECT_GE(steady_clock::now() - began, std::chrono::milliseconds(300));
}

TEST_F(ReadApart, WhatAsksForSomethingElseIsNotTalkedTo) {
  // To each socket that it has: the one to its maker is among them.
  const auto send_to_all = [](const std::string& packet) {
    for (int fd = 3; fd < 256; ++fd) ::send(fd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  for (const std::string packet : {"x/etc/shadow", "\x01", "?"}) {
    const Result<std::string> result = read([&](Target&) -> std::string {
      send_to_all(packet);
      hang();
    });
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message,
              "process 4711 could not be read: what read it asks for what it must not have");
  }
}

TEST_F(ReadApart, ManyQuestionsWithoutEndAreNoHang) {
  const auto began = steady_clock::now();
  const Result<std::string> result = read(
      [](Target& target) -> std::string {
        Mapping known;
        known.range = {Address(0x1000), 1};
        for (;;) static_cast<void>(target.files->open_mapping(known));
      },
      std::chrono::milliseconds(300));
  EXPECT_FALSE(result.ok());
  EXPECT_LT(steady_clock::now() - began, std::chrono::seconds(60));
}

}  // namespace
}  // namespace pythreads::attach
