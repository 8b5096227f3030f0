#include "attach/futex_wait.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <cstdint>
#include <memory>

#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::FakeMemory;

constexpr std::uint64_t page = 0x7f0000001000;
constexpr std::uint64_t head = 0x7f0000100000;
constexpr std::uint64_t limit_at = 0x7ffc00000100;
constexpr StopClocks now{seconds(1'700'000'000), seconds(5000)};

class Futexes : public testing::Test {
 protected:
  Futexes() {
    auto memory = std::make_unique<FakeMemory>();
    memory_ = memory.get();
    target_.memory = std::move(memory);
    for (std::uint64_t at = page; at < page + 512; at += 8) memory_->put(Address(at), at);
    // A struct pthread of glibc.
    memory_->map({Address(head), 1024});
    memory_->put(Address(head), head);
    memory_->put(Address(head + 16), head);
    memory_->put(Address(head + pthread_tid_offset), std::uint32_t{77});
  }

  const std::optional<FutexWait>& wait(std::uint64_t word, int operation, std::uint64_t limit = 0) {
    ThreadState thread;
    thread.kernel_wait = KernelWait{
        .number = SYS_futex, .arguments = {word, static_cast<std::uint64_t>(operation), 0, limit, 0, 0}};
    thread.tid = 4077;
    thread.namespace_tid = 77;
    thread.registers = Registers{};
    thread.registers->pthread_self = head;
    target_.threads = {thread};
    fetch_futexes(target_);
    read_futexes(target_, now);
    return target_.threads[0].futex;
  }

  void put_limit(std::int64_t whole, std::int64_t nanoseconds) {
    memory_->put(Address(limit_at), static_cast<std::uint64_t>(whole));
    memory_->put(Address(limit_at + 8), static_cast<std::uint64_t>(nanoseconds));
  }

  Target target_;
  FakeMemory* memory_ = nullptr;
};

TEST_F(Futexes, BringTheBytesAroundTheirWord) {
  const auto& futex = wait(page + 128, FUTEX_WAIT | FUTEX_PRIVATE_FLAG);
  ASSERT_TRUE(futex);
  EXPECT_EQ(futex->word, Address(page + 128));
  EXPECT_FALSE(futex->shared);
  EXPECT_EQ(futex->ends_in_ms, std::nullopt);
  ASSERT_LE(futex->around_begin, futex->word - 24);
  ASSERT_GE(futex->around.size(), 88U);
  std::uint64_t first = 0;
  std::memcpy(&first, futex->around.data(), sizeof first);
  EXPECT_EQ(first, futex->around_begin.value);
}

TEST_F(Futexes, OfAnotherLibcHaveNothingAround) {
  const std::uint64_t previous = head + 4096;  // musl: the thread before it in its list
  memory_->put(Address(head + 16), previous);
  const auto& futex = wait(page + 128, FUTEX_WAIT | FUTEX_PRIVATE_FLAG);
  ASSERT_TRUE(futex);
  EXPECT_EQ(futex->word, Address(page + 128));
  EXPECT_TRUE(futex->around.empty());
  memory_->put(Address(head + 16), head);  // musl: the only thread
  memory_->put(Address(head + pthread_tid_offset), std::uint32_t{0});
  EXPECT_TRUE(wait(page + 128, FUTEX_WAIT)->around.empty());
  Module libc;
  libc.path = "/lib/x86_64-linux-gnu/libc.so.6";
  target_.modules = {libc};
  EXPECT_FALSE(wait(page + 128, FUTEX_WAIT)->around.empty());
}

TEST_F(Futexes, AtTheBeginningOfAMappingHaveOnlyWhatFollows) {
  const auto& futex = wait(page, FUTEX_WAIT);
  ASSERT_TRUE(futex);
  EXPECT_TRUE(futex->shared);
  EXPECT_EQ(futex->around_begin, Address(page));
  EXPECT_GE(futex->around.size(), 56U);
}

TEST_F(Futexes, EndAtAnAbsoluteTimeOfTheirClock) {
  put_limit(5012, 500'000'000);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, limit_at)->ends_in_ms, 12'500.0);
  put_limit(1'700'000'002, 0);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, limit_at)->ends_in_ms, 2'000.0);
  EXPECT_EQ(wait(page, FUTEX_LOCK_PI, limit_at)->ends_in_ms, 2'000.0);
}

TEST_F(Futexes, PastTheirTimeEndAtOnce) {
  put_limit(4999, 0);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET, limit_at)->ends_in_ms, 0.0);
}

TEST_F(Futexes, SayNothingOfARelativeOrAnImpossibleLimit) {
  put_limit(12, 0);
  EXPECT_EQ(wait(page, FUTEX_WAIT, limit_at)->ends_in_ms, std::nullopt);
  put_limit(-1, 0);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET, limit_at)->ends_in_ms, std::nullopt);
  put_limit(INT64_MAX, 0);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET, limit_at)->ends_in_ms, std::nullopt);
  EXPECT_EQ(wait(page, FUTEX_WAIT_BITSET, 0x10)->ends_in_ms, std::nullopt);
}

TEST_F(Futexes, OfAFileAreKnownByIt) {
  Mapping mapping;
  mapping.range = {Address(page), 4096};
  mapping.path = "/dev/shm/sem.mp-1";
  target_.mappings = {mapping};
  EXPECT_EQ(wait(page + 64, FUTEX_WAIT)->mapping, "/dev/shm/sem.mp-1");
  EXPECT_EQ(wait(page + 5000, FUTEX_WAIT)->mapping, "");
}

TEST_F(Futexes, AreOnlyWhatWaits) {
  EXPECT_FALSE(wait(page, FUTEX_WAKE));
  EXPECT_FALSE(wait(page, FUTEX_REQUEUE));
  ASSERT_TRUE(wait(8, FUTEX_WAIT));
  EXPECT_TRUE(wait(8, FUTEX_WAIT)->around.empty());
}

}  // namespace
}  // namespace pythreads::attach
