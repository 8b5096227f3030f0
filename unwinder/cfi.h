// Call frame information: how to get from a frame to its caller, from .eh_frame by way of the sorted table in
// .eh_frame_hdr. One row is searched, decoded and returned; nothing is kept, and no memory is allocated by a
// size that the tables name (they are the target's, and libdw's reader allocates by register numbers that it
// finds there). Only the few hundred bytes that hold the answer are read, through `Memory`: from the module's
// file or from the target, which is how the vdso is walked.
//
// Format: DWARF 5, section 6.4; Linux Standard Base Core 5.0, sections 10.5 and 10.6 (.eh_frame,
// .eh_frame_hdr); register numbers are the machine's (attach/architecture.h).
#pragma once

#include <array>
#include <cstdint>

#include "attach/address.h"
#include "attach/architecture.h"
#include "attach/memory.h"
#include "attach/result.h"

namespace pythreads::unwinder {

inline constexpr std::size_t cfi_register_count = attach::register_count;
inline constexpr std::size_t cfi_sp = attach::stack_pointer_register;
inline constexpr std::size_t cfi_fp = attach::frame_pointer_register;
inline constexpr std::size_t cfi_pc = attach::pc_register;
inline constexpr std::size_t cfi_return_address = attach::return_address_column;

enum class CfiRule : std::uint8_t {
  unspecified,       // the ABI's default: callee-saved registers keep their value, the others are lost
  undefined,         // lost; for the return address: there is no caller
  same_value,        //
  offset,            // saved at CFA + value
  value_offset,      // is CFA + value
  other_register,    // is in register `value`
  expression,        // saved at what the expression gives
  value_expression,  // is what the expression gives
};

// The bytes of a DWARF expression, in the tables.
struct CfiExpression {
  attach::Address at;
  std::uint32_t size = 0;
};

struct CfiRow {
  bool cfa_is_expression = false;
  std::uint8_t cfa_register = cfi_sp;
  std::int64_t cfa_offset = 0;
  CfiExpression cfa_expression;
  std::array<CfiRule, cfi_register_count> rules{};
  std::array<std::int64_t, cfi_register_count> values{};
  std::array<CfiExpression, cfi_register_count> expressions{};
  bool signal_frame = false;  // augmentation 'S': what it returns to was interrupted, not called
  attach::Range function;     // what the FDE covers
};

// The row for `pc`. ErrorCode::corrupt: the tables can't be what they should be; unreadable; unsupported: no
// entry covers pc, or the table is of a kind that no toolchain for Linux writes.
attach::Result<CfiRow> find_cfi_row(attach::Memory& tables, attach::Range eh_frame_hdr, attach::Address pc);

}  // namespace pythreads::unwinder
