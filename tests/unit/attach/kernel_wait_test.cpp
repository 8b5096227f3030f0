#include "attach/kernel_wait.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

using tests::FakeMemory;

Registers in_call(long number, std::int64_t result) {
  Registers registers;
  registers.orig_rax = static_cast<std::uint64_t>(number);
  registers.rax = static_cast<std::uint64_t>(result);
  registers.rdi = 1;
  registers.rsi = 0x2000;
  registers.rdx = 3;
  registers.r10 = 4;
  registers.r8 = 5;
  registers.r9 = 6;
  return registers;
}

KernelWait before(const Registers& registers) {
  KernelWait wait;
  wait.number = static_cast<long>(registers.orig_rax);
  wait.arguments = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
  return wait;
}

TEST(WaitFromRegisters, EveryRestartCodeMeansInsideTheCall) {
  for (const int code : {-512, -513, -514, -516, -4}) {
    const std::optional<KernelWait> wait = wait_from_registers(in_call(SYS_futex, code));
    ASSERT_TRUE(wait) << code;
    EXPECT_EQ(wait->number, SYS_futex);
    EXPECT_EQ(wait->restart_code, code);
    EXPECT_EQ(wait->arguments, (std::array<std::uint64_t, 6>{1, 0x2000, 3, 4, 5, 6}));
  }
}

TEST(WaitFromRegisters, AResultOrUserCodeIsNoWait) {
  EXPECT_FALSE(wait_from_registers(in_call(SYS_futex, 0)));
  EXPECT_FALSE(wait_from_registers(in_call(SYS_futex, -EAGAIN)));
  EXPECT_FALSE(wait_from_registers(in_call(SYS_futex, -515)));  // ENOIOCTLCMD
  // Interrupted in user code, and rax happens to look like a restart code.
  EXPECT_FALSE(wait_from_registers(in_call(-1, -512)));
}

constexpr std::array futex_code = {std::byte{0xb8}, std::byte{0xca}, std::byte{0},   std::byte{0},
                                   std::byte{0},    std::byte{0x0f}, std::byte{0x05}};
constexpr std::array other_code = {std::byte{0x48}, std::byte{0x89}, std::byte{0xc7}, std::byte{0x31},
                                   std::byte{0xc0}, std::byte{0x0f}, std::byte{0x05}};

TEST(ResolveRestart, TheCodeBeforeTheInstructionPointerTells) {
  KernelWait wait = *wait_from_registers(in_call(219, -516));
  resolve_restart(wait, "", futex_code);
  EXPECT_EQ(wait.number, SYS_futex);
  EXPECT_TRUE(wait.restarted);
}

TEST(ResolveRestart, TheWaitChannelTells) {
  const struct {
    const char* channel;
    std::uint64_t first;
    long number;
  } rows[] = {
      {"futex_wait_queue", 0x7f0000000000, SYS_futex},
      {"futex_wait_queue_me", 0x7f0000000000, SYS_futex},
      {"do_sys_poll", 0x7f0000000000, SYS_poll},
      {"poll_schedule_timeout.constprop.0", 0x7f0000000000, SYS_poll},
      {"hrtimer_nanosleep", 1, SYS_clock_nanosleep},
      {"hrtimer_nanosleep", 0x7f0000000000, SYS_nanosleep},
      {"do_nanosleep", 0x7f0000000000, SYS_nanosleep},
  };
  for (const auto& row : rows) {
    KernelWait wait = *wait_from_registers(in_call(219, -516));
    wait.arguments[0] = row.first;
    resolve_restart(wait, row.channel, other_code);
    EXPECT_EQ(wait.number, row.number) << row.channel;
  }
}

TEST(ResolveRestart, UnknownStaysUnknown) {
  for (const char* channel : {"", "0", "ptrace_stop", "pipe_read"}) {
    KernelWait wait = *wait_from_registers(in_call(219, -516));
    resolve_restart(wait, channel, {});
    EXPECT_EQ(wait.number, 219) << channel;
    EXPECT_TRUE(wait.restarted);
  }
  KernelWait read = *wait_from_registers(in_call(SYS_read, -512));
  resolve_restart(read, "futex_wait_queue", futex_code);
  EXPECT_EQ(read.number, SYS_read) << "only restart_syscall is another call";
}

TEST(GoesOnByRestart, OnlyWhatSetsARestartBlock) {
  const auto goes_on = [](long number, std::array<std::uint64_t, 6> arguments) {
    KernelWait wait;
    wait.number = number;
    wait.arguments = arguments;
    return goes_on_by_restart(wait);
  };
  constexpr std::uint64_t pointer = 0x7ffe12345678;
  EXPECT_TRUE(goes_on(SYS_poll, {pointer, 1, static_cast<std::uint64_t>(-1)}));
  EXPECT_TRUE(goes_on(SYS_nanosleep, {pointer, 0}));
  EXPECT_TRUE(goes_on(SYS_clock_nanosleep, {1, 0, pointer, 0}));
  EXPECT_FALSE(goes_on(SYS_clock_nanosleep, {1, TIMER_ABSTIME, pointer, 0}));
  EXPECT_TRUE(goes_on(219, {}));
  for (const std::uint64_t operation : {FUTEX_WAIT, FUTEX_WAIT_BITSET}) {
    for (const std::uint64_t flags : {0, FUTEX_PRIVATE_FLAG, FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME}) {
      EXPECT_TRUE(goes_on(SYS_futex, {pointer, operation | flags, 1, pointer}));
      EXPECT_TRUE(goes_on(SYS_futex, {pointer, operation | flags | 0xffffffff00000000, 1, pointer}));
      EXPECT_FALSE(goes_on(SYS_futex, {pointer, operation | flags, 1, 0}));
    }
  }
  EXPECT_FALSE(goes_on(SYS_futex, {pointer, FUTEX_LOCK_PI, 1, pointer}));
  EXPECT_TRUE(goes_on(455, {pointer, 1, 1, 2, pointer, 1}));
  EXPECT_FALSE(goes_on(455, {pointer, 1, 1, 2, 0, 1}));
  for (const long number : {SYS_ppoll, SYS_select, SYS_pselect6, SYS_read, SYS_epoll_wait, SYS_wait4}) {
    EXPECT_FALSE(goes_on(number, {pointer, pointer, pointer, pointer, pointer, pointer})) << number;
  }
}

TEST(FindDisturbance, EintrIsTold) {
  FakeMemory memory;
  const std::optional<Disturbance> found = find_disturbance(7, in_call(SYS_epoll_wait, -EINTR), {}, memory);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tid, 7);
  EXPECT_EQ(found->syscall, "epoll_wait");
  EXPECT_EQ(found->effect, "EINTR");
}

TEST(FindDisturbance, WhatIsRestartedIsNotDisturbed) {
  FakeMemory memory;
  for (const int code : {-512, -513, -514, -516}) {
    EXPECT_FALSE(find_disturbance(7, in_call(SYS_futex, code), {}, memory)) << code;
  }
}

TEST(FindDisturbance, AShortWriteOnlyWhereTheThreadSleptInIt) {
  FakeMemory memory;
  Registers registers = in_call(SYS_write, 1000);
  registers.rdx = 5000;
  EXPECT_FALSE(find_disturbance(7, registers, {}, memory)) << "a write that did not sleep is short by itself";
  const std::optional<Disturbance> found = find_disturbance(7, registers, before(registers), memory);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->effect, "short");
  KernelWait other = before(registers);
  other.arguments[1] += 8;
  EXPECT_FALSE(find_disturbance(7, registers, other, memory)) << "another write";
  registers.rax = 5000;
  EXPECT_FALSE(find_disturbance(7, registers, before(registers), memory)) << "all was written";
}

TEST(WaitFromRegisters, AWriteThatTheStopCutShortIsStillAWait) {
  FakeMemory memory;
  Registers registers = in_call(SYS_write, 1000);
  registers.rdx = 5000;
  EXPECT_FALSE(wait_from_registers(registers));
  const std::optional<Disturbance> cut = find_disturbance(7, registers, before(registers), memory);
  const std::optional<KernelWait> wait = wait_from_registers(registers, cut);
  ASSERT_TRUE(wait);
  EXPECT_EQ(wait->number, SYS_write);
  EXPECT_EQ(wait->arguments[2], 5000U);
  EXPECT_EQ(wait->restart_code, 0);
}

TEST(FindDisturbance, AShortRecvOnlyWithWaitall) {
  FakeMemory memory;
  Registers registers = in_call(SYS_recvfrom, 100);
  registers.rdx = 5000;
  registers.r10 = 0;
  EXPECT_FALSE(find_disturbance(7, registers, before(registers), memory));
  registers.r10 = MSG_WAITALL;
  EXPECT_TRUE(find_disturbance(7, registers, before(registers), memory));
}

TEST(FindDisturbance, WritevsLengthsAreReadAndBounded) {
  FakeMemory memory;
  Registers registers = in_call(SYS_writev, 150);
  registers.rdx = 2;
  memory.put(Address(0x2000), std::array<std::uint64_t, 4>{0x9000, 100, 0xa000, 100});
  EXPECT_TRUE(find_disturbance(7, registers, before(registers), memory));
  registers.rax = 200;
  EXPECT_FALSE(find_disturbance(7, registers, before(registers), memory));
  registers.rax = 150;
  registers.rdx = ~std::uint64_t{0};
  EXPECT_FALSE(find_disturbance(7, registers, before(registers), memory));
}

}  // namespace
}  // namespace pythreads::attach
