// One step of a walk: from a frame's registers and its row of the unwind tables to the caller's registers.
#pragma once

#include "attach/memory.h"
#include "attach/result.h"
#include "unwinder/cfi.h"
#include "unwinder/cpu_state.h"
#include "unwinder/stack_window.h"

namespace pythreads::unwinder {

enum class StepOutcome {
  caller,  // `state` is now the caller's
  root,    // the table says that there is no caller
};

// Expressions are read from `tables`, saved registers from `stack`. A saved register that can't be read is
// lost; without the stack pointer or the return address there is no caller: ErrorCode::unreadable or corrupt.
attach::Result<StepOutcome> step_by_row(const CfiRow& row, attach::Memory& tables, StackWindow& stack,
                                        CpuState& state);

// DWARF 5, section 2.5, what is used in call frame information: no branches, no calls, at most 256
// operations. `initial` is pushed first (the CFA, for a register's rule).
attach::Result<std::uint64_t> evaluate_expression(const CfiExpression& expression, attach::Memory& tables,
                                                  StackWindow& stack, const CpuState& state,
                                                  std::optional<std::uint64_t> initial);

}  // namespace pythreads::unwinder
