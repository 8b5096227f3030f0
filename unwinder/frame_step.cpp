#include "unwinder/frame_step.h"

#include <dwarf.h>

#include "unwinder/architecture.h"
#include "unwinder/byte_reader.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Result;

constexpr std::size_t most_expression_bytes = 512;
constexpr std::size_t most_operations = 256;

Error corrupt(std::string message) {
  return Error{ErrorCode::corrupt, std::move(message), {}};
}

class ExpressionStack {
 public:
  void push(std::uint64_t value) {
    if (depth_ == values_.size()) {
      failed_ = true;
      return;
    }
    values_[depth_++] = value;
  }
  std::uint64_t pop() {
    if (depth_ == 0) {
      failed_ = true;
      return 0;
    }
    return values_[--depth_];
  }
  std::uint64_t peek(std::size_t from_top) {
    if (from_top >= depth_) {
      failed_ = true;
      return 0;
    }
    return values_[depth_ - 1 - from_top];
  }
  bool failed() const { return failed_; }

 private:
  std::array<std::uint64_t, 32> values_{};
  std::size_t depth_ = 0;
  bool failed_ = false;
};

// Operations on the two topmost values; false: it is none of these.
bool apply_binary(std::uint8_t operation, ExpressionStack& stack) {
  switch (operation) {
    case DW_OP_and:
    case DW_OP_minus:
    case DW_OP_mul:
    case DW_OP_or:
    case DW_OP_plus:
    case DW_OP_shl:
    case DW_OP_shr:
    case DW_OP_shra:
    case DW_OP_xor:
    case DW_OP_eq:
    case DW_OP_ge:
    case DW_OP_gt:
    case DW_OP_le:
    case DW_OP_lt:
    case DW_OP_ne:
      break;
    default:
      return false;
  }
  const std::uint64_t right = stack.pop();
  const std::uint64_t left = stack.pop();
  const auto signed_left = static_cast<std::int64_t>(left);
  const auto signed_right = static_cast<std::int64_t>(right);
  switch (operation) {
    case DW_OP_and:
      stack.push(left & right);
      break;
    case DW_OP_minus:
      stack.push(left - right);
      break;
    case DW_OP_mul:
      stack.push(left * right);
      break;
    case DW_OP_or:
      stack.push(left | right);
      break;
    case DW_OP_plus:
      stack.push(left + right);
      break;
    case DW_OP_shl:
      stack.push(right < 64 ? left << right : 0);
      break;
    case DW_OP_shr:
      stack.push(right < 64 ? left >> right : 0);
      break;
    case DW_OP_shra:
      stack.push(static_cast<std::uint64_t>(signed_left >> (right < 64 ? right : 63)));
      break;
    case DW_OP_xor:
      stack.push(left ^ right);
      break;
    case DW_OP_eq:
      stack.push(left == right ? 1 : 0);
      break;
    case DW_OP_ge:
      stack.push(signed_left >= signed_right ? 1 : 0);
      break;
    case DW_OP_gt:
      stack.push(signed_left > signed_right ? 1 : 0);
      break;
    case DW_OP_le:
      stack.push(signed_left <= signed_right ? 1 : 0);
      break;
    case DW_OP_lt:
      stack.push(signed_left < signed_right ? 1 : 0);
      break;
    default:
      stack.push(left != right ? 1 : 0);
      break;
  }
  return true;
}

// Operations that push a constant; false: it is none of these.
bool push_constant(std::uint8_t operation, ByteReader& code, ExpressionStack& stack) {
  const auto push_signed = [&stack](std::int64_t value) { stack.push(static_cast<std::uint64_t>(value)); };
  if (operation >= DW_OP_lit0 && operation <= DW_OP_lit31) {
    stack.push(static_cast<std::uint64_t>(operation - DW_OP_lit0));
    return true;
  }
  switch (operation) {
    case DW_OP_addr:
    case DW_OP_const8u:
    case DW_OP_const8s:
      stack.push(code.read<std::uint64_t>());
      break;
    case DW_OP_const1u:
      stack.push(code.read<std::uint8_t>());
      break;
    case DW_OP_const1s:
      push_signed(code.read<std::int8_t>());
      break;
    case DW_OP_const2u:
      stack.push(code.read<std::uint16_t>());
      break;
    case DW_OP_const2s:
      push_signed(code.read<std::int16_t>());
      break;
    case DW_OP_const4u:
      stack.push(code.read<std::uint32_t>());
      break;
    case DW_OP_const4s:
      push_signed(code.read<std::int32_t>());
      break;
    case DW_OP_constu:
      stack.push(code.read_uleb128());
      break;
    case DW_OP_consts:
      push_signed(code.read_sleb128());
      break;
    default:
      return false;
  }
  return true;
}

// Operations that only move values about; false: it is none of these.
bool move_values(std::uint8_t operation, ByteReader& code, ExpressionStack& stack) {
  switch (operation) {
    case DW_OP_dup:
      stack.push(stack.peek(0));
      break;
    case DW_OP_drop:
      stack.pop();
      break;
    case DW_OP_over:
      stack.push(stack.peek(1));
      break;
    case DW_OP_pick:
      stack.push(stack.peek(code.read<std::uint8_t>()));
      break;
    case DW_OP_swap: {
      const std::uint64_t top = stack.pop();
      const std::uint64_t below = stack.pop();
      stack.push(top);
      stack.push(below);
      break;
    }
    case DW_OP_neg:
      stack.push(0 - stack.pop());
      break;
    case DW_OP_not:
      stack.push(~stack.pop());
      break;
    case DW_OP_plus_uconst:
      stack.push(stack.pop() + code.read_uleb128());
      break;
    case DW_OP_nop:
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace

CpuState CpuState::from(const attach::Registers& registers) {
  CpuState state;
  for (std::size_t i = 0; i < registers.values.size(); ++i) state.set(i, registers.values[i]);
  state.signed_bits_ = registers.signed_bits;
  return state;
}

Result<std::uint64_t> evaluate_expression(const CfiExpression& expression, Memory& tables,
                                          StackWindow& memory, const CpuState& state,
                                          std::optional<std::uint64_t> initial) {
  std::array<std::byte, most_expression_bytes> bytes{};
  if (expression.size > bytes.size()) return corrupt("an unwind expression of an impossible size");
  const std::span<std::byte> text = std::span(bytes).first(expression.size);
  Result<void> done = tables.read(expression.at, text);
  if (!done) return std::move(done).error().within("an unwind expression");

  ByteReader code(text, expression.at);
  ExpressionStack stack;
  if (initial) stack.push(*initial);
  for (std::size_t count = 0; !code.at_end(); ++count) {
    if (count == most_operations) return corrupt("an unwind expression that is too long");
    const auto operation = code.read<std::uint8_t>();
    if (push_constant(operation, code, stack) || move_values(operation, code, stack) ||
        apply_binary(operation, stack)) {
      if (stack.failed()) break;
      continue;
    }
    if ((operation >= DW_OP_breg0 && operation <= DW_OP_breg31) || operation == DW_OP_bregx) {
      const std::uint64_t number = operation == DW_OP_bregx
                                       ? code.read_uleb128()
                                       : static_cast<std::uint64_t>(operation - DW_OP_breg0);
      const std::int64_t offset = code.read_sleb128();
      const std::optional<std::uint64_t> value = state.get(static_cast<std::size_t>(number));
      if (!value) return corrupt("an unwind expression asks for a register that is lost");
      stack.push(*value + static_cast<std::uint64_t>(offset));
    } else if (operation == DW_OP_deref || operation == DW_OP_deref_size) {
      const std::size_t size = operation == DW_OP_deref ? 8u : code.read<std::uint8_t>();
      if (size == 0 || size > 8) return corrupt("an unwind expression reads a word of an impossible size");
      Result<std::uint64_t> word = memory.read_small(Address(stack.pop()), size);
      if (!word) return std::move(word).error();
      stack.push(*word);
    } else {
      return Error{ErrorCode::unsupported, "an unwind expression with an unknown operation", {}};
    }
  }
  const std::uint64_t value = stack.pop();
  if (code.failed() || stack.failed()) return corrupt("a corrupt unwind expression");
  return value;
}

Result<StepOutcome> step_by_row(const CfiRow& row, Memory& tables, StackWindow& stack, CpuState& state) {
  if (row.rules[cfi_return_address] == CfiRule::undefined) return StepOutcome::root;

  std::uint64_t cfa = 0;
  if (row.cfa_is_expression) {
    Result<std::uint64_t> value = evaluate_expression(row.cfa_expression, tables, stack, state, std::nullopt);
    if (!value) return std::move(value).error();
    cfa = *value;
  } else {
    const std::optional<std::uint64_t> value = state.get(row.cfa_register);
    if (!value) return corrupt("the frame is found by a register that is lost");
    cfa = *value + static_cast<std::uint64_t>(row.cfa_offset);
  }

  CpuState caller = state;
  for (std::size_t number = 0; number < cfi_register_count; ++number) {
    const bool is_needed = number == cfi_return_address || number == cfi_sp;
    // Where it is told by another column.
    if (number == cfi_pc && cfi_pc != cfi_return_address) continue;
    std::optional<Result<std::uint64_t>> value;
    switch (row.rules[number]) {
      case CfiRule::unspecified:
        if (number == cfi_sp) {
          caller.set(number, cfa);
        } else if (number == cfi_return_address && !may_return_by_register()) {
          return corrupt("the unwind table doesn't say where the return address is");
        } else if (number != cfi_return_address && !is_callee_saved(number)) {
          caller.forget(number);
        }
        continue;
      case CfiRule::undefined:
        if (is_needed) return corrupt("the unwind table loses the stack pointer");
        caller.forget(number);
        continue;
      case CfiRule::same_value:
        if (number == cfi_return_address && !may_return_by_register())
          return corrupt("a return address that stays the same");
        continue;
      case CfiRule::offset:
        value = stack.read_word(Address(cfa + static_cast<std::uint64_t>(row.values[number])));
        break;
      case CfiRule::value_offset:
        value = Result<std::uint64_t>(cfa + static_cast<std::uint64_t>(row.values[number]));
        break;
      case CfiRule::other_register: {
        const std::optional<std::uint64_t> other = state.get(static_cast<std::size_t>(row.values[number]));
        if (other) {
          value = Result<std::uint64_t>(*other);
        } else {
          value = Result<std::uint64_t>(corrupt("a saved register is in one that is lost"));
        }
        break;
      }
      case CfiRule::expression:
      case CfiRule::value_expression: {
        value = evaluate_expression(row.expressions[number], tables, stack, state, cfa);
        if (*value && row.rules[number] == CfiRule::expression) value = stack.read_word(Address(**value));
        break;
      }
    }
    if (*value) {
      caller.set(number, **value);
    } else if (is_needed) {
      return std::move(*value).error();
    } else {
      caller.forget(number);
    }
  }
  const std::optional<std::uint64_t> back = caller.get(cfi_return_address);
  if (!back) return corrupt("the return address was in a register that is lost");
  caller.set_return(*back);
  // The call has put its return address there.
  if (may_return_by_register() && !row.signal_frame) caller.forget(cfi_return_address);
  state = caller;
  return StepOutcome::caller;
}

}  // namespace pythreads::unwinder
