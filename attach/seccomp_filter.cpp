#include "attach/seccomp_filter.h"

#include <linux/seccomp.h>

#include <array>
#include <cstddef>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

// A word that the run knows, or not (an argument, the instruction pointer, or what was computed of them).
using Word = std::optional<std::uint32_t>;

constexpr std::uint32_t data_bytes = sizeof(seccomp_data);

// The operations that seccomp_check_filter lets through. Division by a register that is zero ends the program
// with 0, which `Run` sees to; shifts count modulo 32, as both machines do.
std::optional<std::uint32_t> compute(std::uint16_t operation, std::uint32_t a, std::uint32_t b) {
  switch (operation) {
    case BPF_ADD:
      return a + b;
    case BPF_SUB:
      return a - b;
    case BPF_MUL:
      return a * b;
    case BPF_DIV:
      if (b == 0) return std::nullopt;
      return a / b;
    case BPF_AND:
      return a & b;
    case BPF_OR:
      return a | b;
    case BPF_XOR:
      return a ^ b;
    case BPF_LSH:
      return a << (b & 31);
    case BPF_RSH:
      return a >> (b & 31);
    default:
      return std::nullopt;
  }
}

std::optional<bool> compare(std::uint16_t operation, std::uint32_t a, std::uint32_t b) {
  switch (operation) {
    case BPF_JEQ:
      return a == b;
    case BPF_JGT:
      return a > b;
    case BPF_JGE:
      return a >= b;
    case BPF_JSET:
      return (a & b) != 0;
    default:
      return std::nullopt;
  }
}

class Run {
 public:
  Run(std::span<const sock_filter> program, std::uint32_t syscall_number)
      : program_(program), syscall_number_(syscall_number) {}

  FilterAnswer answer() {
    if (program_.size() > BPF_MAXINSNS) return std::nullopt;
    // Each step goes forward, so there are no more steps than instructions.
    while (at_ < program_.size()) {
      const sock_filter& instruction = program_[at_++];
      if (BPF_CLASS(instruction.code) == BPF_RET) return returned(instruction);
      if (!step(instruction)) return std::nullopt;
      if (divided_by_zero_) return SECCOMP_RET_KILL_THREAD;
    }
    return std::nullopt;
  }

 private:
  FilterAnswer returned(const sock_filter& instruction) const {
    if (instruction.code == (BPF_RET | BPF_K)) return instruction.k;
    if (instruction.code == (BPF_RET | BPF_A)) return a_;
    return std::nullopt;
  }

  // False: undetermined from here on.
  bool step(const sock_filter& instruction) {
    switch (BPF_CLASS(instruction.code)) {
      case BPF_LD:
      case BPF_LDX:
        return load(instruction);
      case BPF_ST:
      case BPF_STX:
        return store(instruction);
      case BPF_ALU:
        return arithmetic(instruction);
      case BPF_JMP:
        return jump(instruction);
      case BPF_MISC:
        if (instruction.code == (BPF_MISC | BPF_TAX)) {
          x_ = a_;
          return true;
        }
        if (instruction.code == (BPF_MISC | BPF_TXA)) {
          a_ = x_;
          return true;
        }
        return false;
      default:
        return false;
    }
  }

  bool load(const sock_filter& instruction) {
    const bool into_x = BPF_CLASS(instruction.code) == BPF_LDX;
    Word& into = into_x ? x_ : a_;
    if (BPF_SIZE(instruction.code) != BPF_W) return false;
    switch (BPF_MODE(instruction.code)) {
      case BPF_IMM:
        into = instruction.k;
        return true;
      case BPF_LEN:
        into = data_bytes;
        return true;
      case BPF_MEM:
        if (instruction.k >= memory_.size()) return false;
        into = memory_[instruction.k];
        return true;
      case BPF_ABS:
        if (into_x || instruction.k >= data_bytes || instruction.k % 4 != 0) return false;
        if (instruction.k == offsetof(seccomp_data, nr)) {
          into = syscall_number_;
        } else if (instruction.k == offsetof(seccomp_data, arch)) {
          into = audit_architecture;
        } else {
          into = std::nullopt;
        }
        return true;
      default:
        return false;
    }
  }

  bool store(const sock_filter& instruction) {
    if (instruction.code != BPF_ST && instruction.code != BPF_STX) return false;
    if (instruction.k >= memory_.size()) return false;
    memory_[instruction.k] = instruction.code == BPF_STX ? x_ : a_;
    return true;
  }

  Word operand(const sock_filter& instruction) const {
    return BPF_SRC(instruction.code) == BPF_X ? x_ : Word(instruction.k);
  }

  bool arithmetic(const sock_filter& instruction) {
    const std::uint16_t operation = BPF_OP(instruction.code);
    if (operation == BPF_NEG) {
      if (a_) a_ = std::uint32_t{0} - *a_;
      return true;
    }
    const Word with = operand(instruction);
    if (operation == BPF_DIV && with == 0U) {
      divided_by_zero_ = BPF_SRC(instruction.code) == BPF_X;  // a constant zero is not loaded at all
      return divided_by_zero_;
    }
    if (operation == BPF_DIV && !with) return false;
    const Word result = compute(operation, a_.value_or(0), with.value_or(0));
    if (a_ && with) {
      a_ = result;
      return result.has_value();
    }
    a_ = std::nullopt;
    return true;
  }

  bool jump(const sock_filter& instruction) {
    std::size_t distance = instruction.k;
    if (BPF_OP(instruction.code) != BPF_JA) {
      const Word with = operand(instruction);
      if (!a_ || !with) return false;
      const std::optional<bool> holds = compare(BPF_OP(instruction.code), *a_, *with);
      if (!holds) return false;
      distance = *holds ? instruction.jt : instruction.jf;
    }
    if (distance >= program_.size() - at_) return false;
    at_ += distance;
    return true;
  }

  std::span<const sock_filter> program_;
  std::uint32_t syscall_number_;
  std::size_t at_ = 0;
  Word a_ = 0;
  Word x_ = 0;
  std::array<Word, BPF_MEMWORDS> memory_{};  // the kernel refuses a program that reads a word unwritten
  bool divided_by_zero_ = false;
};

// Signed, so that SECCOMP_RET_KILL_PROCESS comes before all others. An action that no kernel knows kills.
std::int32_t strictness(std::uint32_t answer) {
  return static_cast<std::int32_t>(answer & SECCOMP_RET_ACTION_FULL);
}

}  // namespace

FilterAnswer run_filter(std::span<const sock_filter> program, std::uint32_t syscall_number) {
  return Run(program, syscall_number).answer();
}

FilterAnswer combine(FilterAnswer one, FilterAnswer other) {
  if (one && other) return strictness(*other) < strictness(*one) ? other : one;
  const FilterAnswer known = one ? one : other;
  return known && !lets_pass(*known) ? known : std::nullopt;
}

bool lets_pass(std::uint32_t answer) {
  const std::uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
  return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

}  // namespace pythreads::attach
