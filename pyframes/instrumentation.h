// What monitoring put in the place of a code object's opcodes, undone. From 3.12 on sys.settrace, debuggers
// and sys.monitoring write INSTRUMENTED_LINE and INSTRUMENTED_INSTRUCTION over opcodes, and keep what stood
// there behind co_monitoring: for a line event in `lines`, which may again say INSTRUMENTED_INSTRUCTION, and
// for that in `per_instruction_opcodes`. All other INSTRUMENTED_ opcodes tell what they are themselves, and
// stand so in the opcode tables. Source: Python/instrumentation.c (_Py_GetBaseOpcode, from 3.14
// _Py_GetBaseCodeUnit), Include/cpython/code.h at v3.12.0 to v3.15.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "attach/address.h"
#include "pyframes/opcodes.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Of `count` units (of 2 bytes) from `first` on. What is kept of them is read once, when it is first needed.
class Instrumentation {
 public:
  Instrumentation(Reading& reading, const OpcodeTable& table, attach::Address code, std::size_t first,
                  std::size_t count)
      : reading_(reading), table_(table), code_(code), first_(first), count_(count) {}

  // What an opcode that was read at the unit was before. None: it can't be told.
  std::optional<std::uint8_t> original(std::uint8_t opcode, std::size_t unit);

 private:
  struct Kept {
    std::vector<std::uint8_t> bytes;
    std::size_t entry = 1;  // bytes for each unit; an opcode is the first
  };

  const Kept& lines();
  const Kept& per_instruction();
  attach::Address monitoring_data(PointerField field);
  Kept read(attach::Address begin, std::size_t entry);

  Reading& reading_;
  const OpcodeTable& table_;
  attach::Address code_;
  std::size_t first_, count_;
  std::optional<Kept> lines_, per_instruction_;
};

// The opcode at an offset in bytes into the instructions of a code object from 3.11 on, as it was before
// monitoring. None: it can't be read or told.
std::optional<std::uint8_t> opcode_at(Reading& reading, attach::Address code, std::int64_t offset);

}  // namespace pythreads::pyframes
