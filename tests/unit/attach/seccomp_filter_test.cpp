// Seccomp filters written by hand, in the shapes that libseccomp gives them, and programs that no kernel
// loads.
#include "attach/seccomp_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstddef>
#include <vector>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

using Program = std::vector<sock_filter>;

constexpr std::uint32_t restart = SYS_restart_syscall;
constexpr std::uint32_t personality = SYS_personality, refused = personality - 34;  // both before it
constexpr std::uint32_t number_at = offsetof(seccomp_data, nr);
constexpr std::uint32_t arch_at = offsetof(seccomp_data, arch);
constexpr std::uint32_t argument_at = offsetof(seccomp_data, args);
constexpr std::uint32_t not_permitted = SECCOMP_RET_ERRNO | 1;

sock_filter load(std::uint32_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, offset};
}
sock_filter give(std::uint32_t answer) {
  return {BPF_RET | BPF_K, 0, 0, answer};
}
sock_filter jump(std::uint16_t operation, std::uint32_t with, std::uint8_t yes, std::uint8_t no) {
  return {static_cast<std::uint16_t>(BPF_JMP | operation | BPF_K), yes, no, with};
}
sock_filter set_a(std::uint32_t value) {
  return {BPF_LD | BPF_IMM, 0, 0, value};
}
sock_filter set_x(std::uint32_t value) {
  return {BPF_LDX | BPF_IMM, 0, 0, value};
}
sock_filter alu(std::uint16_t operation, std::uint16_t source, std::uint32_t with = 0) {
  return {static_cast<std::uint16_t>(BPF_ALU | operation | source), 0, 0, with};
}
const sock_filter give_a = {BPF_RET | BPF_A, 0, 0, 0};

// A default of containers: the architecture, the x32 check, a search tree over the numbers, and one call of
// which an argument decides (personality).
Program container_profile(std::uint32_t for_restart) {
  return {
      load(arch_at),
      jump(BPF_JEQ, audit_architecture, 1, 0),
      give(SECCOMP_RET_KILL_PROCESS),
      load(number_at),
      jump(BPF_JGE, 0x40000000, 0, 1),
      give(not_permitted),
      jump(BPF_JGT, personality, 6, 0),
      jump(BPF_JEQ, personality, 0, 3),
      load(argument_at),
      jump(BPF_JEQ, 8, 2, 0),
      give(not_permitted),
      jump(BPF_JEQ, refused, 3, 0),
      give(SECCOMP_RET_ALLOW),
      jump(BPF_JEQ, restart, 2, 0),
      jump(BPF_JGT, 400, 0, 2),
      give(not_permitted),
      give(for_restart),
      give(SECCOMP_RET_ALLOW),
  };
}

TEST(SeccompFilter, AContainersProfileIsFollowedToItsAnswer) {
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_ALLOW), restart), SECCOMP_RET_ALLOW);
  EXPECT_EQ(run_filter(container_profile(not_permitted), restart), not_permitted);
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_KILL_THREAD), restart), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_ALLOW), refused), not_permitted);
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_ALLOW), 0x40000001), not_permitted);
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_ALLOW), personality), std::nullopt);
  EXPECT_EQ(run_filter(container_profile(SECCOMP_RET_ALLOW), 401), not_permitted);
}

TEST(SeccompFilter, AForeignArchitectureIsNotOurs) {
  const Program program = {load(arch_at), jump(BPF_JEQ, AUDIT_ARCH_I386, 0, 1),
                           give(SECCOMP_RET_KILL_PROCESS), give(SECCOMP_RET_ALLOW)};
  EXPECT_EQ(run_filter(program, restart), SECCOMP_RET_ALLOW);
}

TEST(SeccompFilter, WhatRestsOnArgumentsOrTheInstructionPointerIsUndetermined) {
  for (std::uint32_t offset = offsetof(seccomp_data, instruction_pointer); offset < sizeof(seccomp_data);
       offset += 4) {
    EXPECT_EQ(run_filter(Program{load(offset), jump(BPF_JEQ, 0, 0, 1), give(SECCOMP_RET_ALLOW),
                                 give(SECCOMP_RET_KILL_THREAD)},
                         restart),
              std::nullopt);
    EXPECT_EQ(run_filter(Program{load(offset), give_a}, restart), std::nullopt);
    // By way of the other register, of memory, and of arithmetic.
    EXPECT_EQ(run_filter(
                  Program{load(offset), {BPF_MISC | BPF_TAX, 0, 0, 0}, set_a(1), alu(BPF_ADD, BPF_X), give_a},
                  restart),
              std::nullopt);
    EXPECT_EQ(
        run_filter(Program{load(offset), {BPF_ST, 0, 0, 3}, set_a(7), {BPF_LD | BPF_MEM, 0, 0, 3}, give_a},
                   restart),
        std::nullopt);
    EXPECT_EQ(run_filter(Program{load(offset),
                                 {BPF_MISC | BPF_TAX, 0, 0, 0},
                                 set_a(1),
                                 alu(BPF_DIV, BPF_X),
                                 give(SECCOMP_RET_ALLOW)},
                         restart),
              std::nullopt);
    // Looked at and not used.
    EXPECT_EQ(run_filter(Program{load(offset), alu(BPF_NEG, BPF_K), load(number_at),
                                 jump(BPF_JEQ, restart, 0, 1), give(not_permitted), give(SECCOMP_RET_ALLOW)},
                         restart),
              not_permitted);
  }
}

TEST(SeccompFilter, ArithmeticIsThatOfTheKernel) {
  const auto result = [](std::uint32_t a, std::uint16_t operation, std::uint32_t b) {
    const FilterAnswer constant = run_filter(Program{set_a(a), alu(operation, BPF_K, b), give_a}, restart);
    const FilterAnswer by_register =
        run_filter(Program{set_a(a), set_x(b), alu(operation, BPF_X), give_a}, restart);
    EXPECT_EQ(constant, by_register);
    return constant;
  };
  EXPECT_EQ(result(5, BPF_ADD, 0xffffffff), 4u);
  EXPECT_EQ(result(5, BPF_SUB, 6), 0xffffffffu);
  EXPECT_EQ(result(0x10001, BPF_MUL, 0x10001), 0x20001u);
  EXPECT_EQ(result(7, BPF_DIV, 2), 3u);
  EXPECT_EQ(result(0xff, BPF_AND, 0x0f0), 0xf0u);
  EXPECT_EQ(result(0xf, BPF_OR, 0x0f0), 0xffu);
  EXPECT_EQ(result(0xf, BPF_XOR, 0x5), 0xau);
  EXPECT_EQ(result(1, BPF_LSH, 31), 0x80000000u);
  EXPECT_EQ(result(0x80000000, BPF_RSH, 31), 1u);
  EXPECT_EQ(run_filter(Program{set_a(2), alu(BPF_NEG, BPF_K), give_a}, restart), 0xfffffffeu);
  EXPECT_EQ(run_filter(Program{{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, give_a}, restart), 64u);
  EXPECT_EQ(run_filter(Program{{BPF_LDX | BPF_W | BPF_LEN, 0, 0, 0}, {BPF_MISC | BPF_TXA, 0, 0, 0}, give_a},
                       restart),
            64u);
  EXPECT_EQ(run_filter(Program{set_x(9), {BPF_STX, 0, 0, 15}, {BPF_LD | BPF_MEM, 0, 0, 15}, give_a}, restart),
            9u);
  // Division by a register that is zero ends the program with 0.
  EXPECT_EQ(run_filter(Program{set_x(0), alu(BPF_DIV, BPF_X), give(SECCOMP_RET_ALLOW)}, restart),
            SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(run_filter(Program{alu(BPF_DIV, BPF_K, 0), give(SECCOMP_RET_ALLOW)}, restart), std::nullopt);
}

TEST(SeccompFilter, EachComparisonJumps) {
  const auto holds = [](std::uint16_t operation, std::uint32_t with) {
    return run_filter(Program{load(number_at), jump(operation, with, 0, 1), give(1), give(2)}, restart) == 1u;
  };
  EXPECT_TRUE(holds(BPF_JEQ, restart));
  EXPECT_FALSE(holds(BPF_JEQ, restart + 1));
  EXPECT_TRUE(holds(BPF_JGT, restart - 1));
  EXPECT_FALSE(holds(BPF_JGT, restart));
  EXPECT_TRUE(holds(BPF_JGE, restart));
  EXPECT_FALSE(holds(BPF_JGE, restart + 1));
  EXPECT_TRUE(holds(BPF_JSET, 1));
  EXPECT_FALSE(holds(BPF_JSET, 4));
  EXPECT_EQ(run_filter(Program{{BPF_JMP | BPF_JA, 0, 0, 1}, give(1), give(2)}, restart), 2u);
}

TEST(SeccompFilter, WhatNoKernelLoadsIsUndetermined) {
  const sock_filter allow = give(SECCOMP_RET_ALLOW);
  EXPECT_EQ(run_filter(Program{}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{load(number_at)}, restart), std::nullopt) << "it ends without an answer";
  EXPECT_EQ(run_filter(Program{load(number_at), jump(BPF_JEQ, restart, 1, 0), allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{load(number_at), jump(BPF_JEQ, 0, 0, 255), allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{BPF_JMP | BPF_JA, 0, 0, 0xffffffff}, allow}, restart), std::nullopt)
      << "no jump goes backward";
  EXPECT_EQ(run_filter(Program{{BPF_JMP | BPF_JA, 0, 0, 1}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{load(64), allow}, restart), std::nullopt) << "beyond the data";
  EXPECT_EQ(run_filter(Program{load(2), allow}, restart), std::nullopt) << "between two words";
  EXPECT_EQ(run_filter(Program{load(0xfffffffc), allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{BPF_LD | BPF_MEM, 0, 0, 16}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{BPF_ST, 0, 0, 16}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{BPF_LD | BPF_MEM, 0, 0, 2}, give_a}, restart), std::nullopt)
      << "never written";
  EXPECT_EQ(run_filter(Program{{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{BPF_LD | BPF_W | BPF_IND, 0, 0, 0}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program{{0xffff, 1, 1, 1}, allow}, restart), std::nullopt);
  EXPECT_EQ(run_filter(Program(5000, allow), restart), std::nullopt);
  // Every code, with operands at the edges: an answer or none, within bounds (the sanitizers watch).
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    for (const std::uint32_t k : {0u, 1u, 15u, 16u, 60u, 64u, 0x7fffffffu, 0xffffffffu}) {
      const sock_filter odd = {static_cast<std::uint16_t>(code), 0xff, 0, k};
      run_filter(Program{odd, odd, give_a}, restart);
    }
  }
}

TEST(SeccompFilter, TheLongestProgramEnds) {
  Program program(BPF_MAXINSNS, jump(BPF_JEQ, 1, 0, 0));
  program.back() = give(SECCOMP_RET_LOG);
  EXPECT_EQ(run_filter(program, restart), SECCOMP_RET_LOG);
}

TEST(SeccompFilter, TheStrictestAnswerCounts) {
  const std::uint32_t by_strictness[] = {
      SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, not_permitted,
      SECCOMP_RET_USER_NOTIF,   SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,  SECCOMP_RET_ALLOW};
  for (std::size_t i = 0; i < std::size(by_strictness); ++i) {
    for (std::size_t j = i; j < std::size(by_strictness); ++j) {
      EXPECT_EQ(combine(by_strictness[i], by_strictness[j]), by_strictness[i]);
      EXPECT_EQ(combine(by_strictness[j], by_strictness[i]), by_strictness[i]);
    }
    const FilterAnswer denied = i < 6 ? FilterAnswer(by_strictness[i]) : std::nullopt;
    EXPECT_EQ(combine(std::nullopt, by_strictness[i]), denied);
    EXPECT_EQ(combine(by_strictness[i], std::nullopt), denied);
    EXPECT_EQ(lets_pass(by_strictness[i]), i >= 6);
  }
  EXPECT_EQ(combine(std::nullopt, std::nullopt), std::nullopt);
  EXPECT_FALSE(lets_pass(0x12340000)) << "an action that is not known kills";
}

}  // namespace
}  // namespace pythreads::attach
