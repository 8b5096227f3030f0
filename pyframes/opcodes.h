// The few instructions that the readers must know by number: one row for each minor version, in which opcodes
// are fixed (Include/opcode.h, from 3.13 Include/opcode_ids.h, at each version's tag). tests/layouts compares
// the rows with the `opcode` module of every interpreter at hand.
#pragma once

#include <array>
#include <cstdint>

#include "pyframes/python_state.h"

namespace pythreads::pyframes {

struct Opcodes {
  int minor = 0;
  // Begins the handler of a `with` block, from 3.11 after PUSH_EXC_INFO. WITH_CLEANUP_START to 3.8.
  std::uint8_t with_except_start = 0;
  // To 3.10: what opens a `with` block, and the type of the block that it pushes. 0 from 3.11 on.
  std::uint8_t setup_with = 0, setup_async_with = 0, setup_finally = 0;
  std::uint8_t extended_arg = 0;
  // What lies at the slot below the innermost one that the block keeps: from 3.14 on the manager itself is
  // kept above its `__exit__`, before that a bound `__exit__` alone.
  bool keeps_manager = false;
};

inline constexpr std::array<Opcodes, 10> opcode_rows{{
    {6, 81, 143, 154, 122, 144, false},
    {7, 81, 143, 154, 122, 144, false},
    {8, 81, 143, 154, 122, 144, false},
    {9, 49, 143, 154, 122, 144, false},
    {10, 49, 143, 154, 122, 144, false},
    {11, 49, 0, 0, 0, 144, false},
    {12, 49, 0, 0, 0, 144, false},
    {13, 44, 0, 0, 0, 71, false},
    {14, 43, 0, 0, 0, 69, true},
    {15, 41, 0, 0, 0, 67, true},
}};

// What the readers know an instruction as. The numbers stand in the tables under opcodes/.
enum class Op : std::uint8_t {
  other,
  extended_arg,
  load_fast,       // a variable's slot
  load_fast_pair,  // two of them, packed; the second is on top
  load_global,
  load_name,
  load_deref,
  load_attr,
  load_method,
  call,
  nop,
  jump_forward,
  jump_backward,
  branch,             // a conditional jump
  reraise,            // ends a handler
  executor,           // stands in the place of a jump or of the function's start (JIT)
  line_event,         // INSTRUMENTED_LINE: what stood there is kept elsewhere (instrumentation.h)
  instruction_event,  // INSTRUMENTED_INSTRUCTION: the same
  drop,  // gives up a reference and calls no function of the program's by itself, but for a method that
         // stores or deletes: POP_TOP, and what stores or deletes a variable, an attribute, an item
};

struct OpcodeTable {
  int minor = 0;
  std::array<std::uint8_t, 256> kinds{};               // Op, by opcode
  std::array<std::uint8_t, 256> caches{};              // words of inline cache that follow
  std::uint8_t global_shift = 0, attribute_shift = 0;  // bits of the argument below the name's index

  // To 3.6 a method is looked up as any attribute is, and its call is found by where it lies on the value
  // stack.
  bool methods_are_attributes = false;
  std::array<std::int8_t, 256> stack_effects{};           // dis.stack_effect of an argument of 0
  std::array<std::int8_t, 256> stack_effects_per_unit{};  // and how much more for each unit of the argument

  Op kind(std::uint8_t opcode) const { return static_cast<Op>(kinds[opcode]); }
};

inline constexpr std::int8_t unknown_effect = 127;

// Null for a version whose opcodes are not known.
const OpcodeTable* find_opcode_table(const PyVersion& version);

// Null for a version whose opcodes are not known: then nothing is said that needs them.
constexpr const Opcodes* find_opcodes(const PyVersion& version) {
  if (version.major != 3) return nullptr;
  for (const Opcodes& row : opcode_rows) {
    if (row.minor == version.minor) return &row;
  }
  return nullptr;
}

}  // namespace pythreads::pyframes
