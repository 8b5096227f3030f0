#include "attach/kernel_wait.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

using tests::FakeMemory;

constexpr Address code_at{0x7000};

void set_argument(Registers& registers, std::size_t index, std::uint64_t value) {
  registers.values[call_argument_registers[index]] = value;
}

#if defined(__x86_64__)
constexpr std::array restart_code = {std::byte{0xb8}, std::byte{0xca}, std::byte{0},   std::byte{0},
                                     std::byte{0},    std::byte{0x0f}, std::byte{0x05}};
constexpr std::array other_code = {std::byte{0x48}, std::byte{0x89}, std::byte{0xc7}, std::byte{0x31},
                                   std::byte{0xc0}, std::byte{0x0f}, std::byte{0x05}};
constexpr bool is_restart_code_told = true;

void set_result(Registers& registers, FakeMemory&, std::int64_t result) {
  registers.values[call_result_register] = static_cast<std::uint64_t>(result);
}

void set_call(Registers& registers, long number) {
  registers.entry_call = static_cast<std::uint64_t>(number);
}
#else
// mov x8, #98; mov x3, x20; nop
constexpr std::array restart_code = std::bit_cast<std::array<std::byte, 12> >(
    std::array<std::uint32_t, 3>{0xd2800c48, 0xaa1403e3, 0xd503201f});
constexpr std::array other_code =
    std::bit_cast<std::array<std::byte, 8> >(std::array<std::uint32_t, 2>{0xaa1403e3, 0xd503201f});
constexpr bool is_restart_code_told = false;

// As the kernel leaves them: see stopped_call in attach/aarch64.cpp.
void set_result(Registers& registers, FakeMemory& memory, std::int64_t result) {
  constexpr std::uint32_t nop = 0xd503201f, svc = 0xd4000001;
  const bool goes_on = result <= -512 && result >= -516 && result != -515;
  memory.put(code_at - 4, goes_on ? std::array{nop, svc, nop} : std::array{svc, nop, nop});
  registers.values[pc_register] = code_at.value;
  if (!goes_on) registers.values[call_result_register] = static_cast<std::uint64_t>(result);
}

void set_call(Registers& registers, long number) {
  registers.values[call_number_register] = static_cast<std::uint64_t>(number);
}
#endif

// A thread in a call, and the code that it stands in.
struct InCall {
  Registers registers;
  FakeMemory memory;
  KernelWait before;  // what /proc said

  InCall(long number, std::int64_t result, std::array<std::uint64_t, 6> arguments = {1, 0x2000, 3, 4, 5, 6}) {
    for (std::size_t i = 0; i < arguments.size(); ++i) set_argument(registers, i, arguments[i]);
    before.number = number;
    before.arguments = arguments;
    set_call(registers, number);
    set_result(registers, memory, result);
  }
  std::optional<KernelWait> wait(const std::optional<Disturbance>& disturbance = {}) {
    return wait_from_registers(registers, before, memory, disturbance);
  }
  std::optional<Disturbance> disturbance(bool slept_before = true) {
    return find_disturbance(7, registers, slept_before ? std::optional(before) : std::nullopt, memory);
  }
};

TEST(WaitFromRegisters, EveryRestartCodeMeansInsideTheCall) {
  for (const int code : {-512, -513, -514, -516, -4}) {
    const std::optional<KernelWait> wait = InCall(SYS_futex, code).wait();
    ASSERT_TRUE(wait) << code;
    EXPECT_EQ(wait->number, SYS_futex);
    EXPECT_EQ(wait->restart_code, code == -4 || is_restart_code_told ? code : -512);
    EXPECT_EQ(wait->arguments, (std::array<std::uint64_t, 6>{1, 0x2000, 3, 4, 5, 6}));
  }
}

TEST(WaitFromRegisters, AResultOrUserCodeIsNoWait) {
  EXPECT_FALSE(InCall(SYS_futex, 0).wait());
  EXPECT_FALSE(InCall(SYS_futex, -EAGAIN).wait());
  EXPECT_FALSE(InCall(SYS_futex, -515).wait());  // ENOIOCTLCMD
  // Interrupted in user code, and registers happen to look like a restart code.
  InCall running(-1, -512);
  running.memory.put(code_at - 4, std::array<std::uint32_t, 2>{});
  EXPECT_FALSE(running.wait());
}

TEST(WaitFromRegisters, AnArgumentThatTheResultHasOverwrittenIsTakenFromBeforeOrTheCallIsNotKnown) {
  InCall cut(SYS_epoll_pwait, -EINTR);
  ASSERT_TRUE(cut.wait());
  EXPECT_EQ(cut.wait()->arguments[0], 1U);
  InCall other(SYS_epoll_pwait, -EINTR);
  other.before.arguments[1] += 8;
  const std::optional<KernelWait> wait = other.wait();
  EXPECT_EQ(wait.has_value(), !call_is_told_by_code) << "another call than the one that was seen before";
}

TEST(ResolveRestart, TheCodeBeforeTheInstructionPointerTells) {
  KernelWait wait = *InCall(SYS_restart_syscall, -516).wait();
  resolve_restart(wait, "", restart_code);
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
#ifdef SYS_poll
      {"do_sys_poll", 0x7f0000000000, SYS_poll},
      {"poll_schedule_timeout.constprop.0", 0x7f0000000000, SYS_poll},
#endif
      {"hrtimer_nanosleep", 1, SYS_clock_nanosleep},
      {"hrtimer_nanosleep", 0x7f0000000000, SYS_nanosleep},
      {"do_nanosleep", 0x7f0000000000, SYS_nanosleep},
  };
  for (const auto& row : rows) {
    KernelWait wait = *InCall(SYS_restart_syscall, -516).wait();
    wait.arguments[0] = row.first;
    resolve_restart(wait, row.channel, other_code);
    EXPECT_EQ(wait.number, row.number) << row.channel;
  }
}

TEST(ResolveRestart, UnknownStaysUnknown) {
  for (const char* channel : {"", "0", "ptrace_stop", "pipe_read"}) {
    KernelWait wait = *InCall(SYS_restart_syscall, -516).wait();
    resolve_restart(wait, channel, {});
    EXPECT_EQ(wait.number, SYS_restart_syscall) << channel;
    EXPECT_TRUE(wait.restarted);
  }
  KernelWait read = *InCall(SYS_read, -512).wait();
  resolve_restart(read, "futex_wait_queue", restart_code);
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
#ifdef SYS_poll
  EXPECT_TRUE(goes_on(SYS_poll, {pointer, 1, static_cast<std::uint64_t>(-1)}));
#endif
  EXPECT_TRUE(goes_on(SYS_nanosleep, {pointer, 0}));
  EXPECT_TRUE(goes_on(SYS_clock_nanosleep, {1, 0, pointer, 0}));
  EXPECT_FALSE(goes_on(SYS_clock_nanosleep, {1, TIMER_ABSTIME, pointer, 0}));
  EXPECT_TRUE(goes_on(SYS_restart_syscall, {}));
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
  for (const long number : {SYS_ppoll, SYS_pselect6, SYS_read, SYS_epoll_pwait, SYS_wait4}) {
    EXPECT_FALSE(goes_on(number, {pointer, pointer, pointer, pointer, pointer, pointer})) << number;
  }
}

TEST(FindDisturbance, EintrIsTold) {
  const std::optional<Disturbance> found = InCall(SYS_epoll_pwait, -EINTR).disturbance(false);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tid, 7);
  EXPECT_EQ(found->syscall, "epoll_pwait");
  EXPECT_EQ(found->effect, "EINTR");
}

TEST(FindDisturbance, WhatIsRestartedIsNotDisturbed) {
  for (const int code : {-512, -513, -514, -516}) {
    EXPECT_FALSE(InCall(SYS_futex, code).disturbance(false)) << code;
  }
}

TEST(FindDisturbance, AShortWriteOnlyWhereTheThreadSleptInIt) {
  InCall write(SYS_write, 1000, {1, 0x2000, 5000, 4, 5, 6});
  EXPECT_FALSE(write.disturbance(false)) << "a write that did not sleep is short by itself";
  const std::optional<Disturbance> found = write.disturbance();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->effect, "short");
  write.before.arguments[1] += 8;
  EXPECT_FALSE(write.disturbance()) << "another write";
  write.before.arguments[1] -= 8;
  set_result(write.registers, write.memory, 5000);
  EXPECT_FALSE(write.disturbance()) << "all was written";
}

TEST(WaitFromRegisters, AWriteThatTheStopCutShortIsStillAWait) {
  InCall write(SYS_write, 1000, {1, 0x2000, 5000, 4, 5, 6});
  EXPECT_FALSE(write.wait());
  const std::optional<KernelWait> wait = write.wait(write.disturbance());
  ASSERT_TRUE(wait);
  EXPECT_EQ(wait->number, SYS_write);
  EXPECT_EQ(wait->arguments[2], 5000U);
  EXPECT_EQ(wait->restart_code, 0);
}

TEST(FindDisturbance, AShortRecvOnlyWithWaitall) {
  EXPECT_FALSE(InCall(SYS_recvfrom, 100, {1, 0x2000, 5000, 0, 5, 6}).disturbance());
  EXPECT_TRUE(InCall(SYS_recvfrom, 100, {1, 0x2000, 5000, MSG_WAITALL, 5, 6}).disturbance());
}

TEST(FindDisturbance, WritevsLengthsAreReadAndBounded) {
  InCall write(SYS_writev, 150, {1, 0x2000, 2, 4, 5, 6});
  write.memory.put(Address(0x2000), std::array<std::uint64_t, 4>{0x9000, 100, 0xa000, 100});
  EXPECT_TRUE(write.disturbance());
  set_result(write.registers, write.memory, 200);
  EXPECT_FALSE(write.disturbance());
  InCall many(SYS_writev, 150, {1, 0x2000, ~std::uint64_t{0}, 4, 5, 6});
  EXPECT_FALSE(many.disturbance());
}

}  // namespace
}  // namespace pythreads::attach
