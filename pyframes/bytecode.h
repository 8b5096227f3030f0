// The instructions of a code object, as far as rules over locks need them: which kind each is, its argument,
// and where it stands. Specialised and instrumented instructions are what they were made from; inline caches
// are stepped over. Where what monitoring replaced can't be read (instrumentation.h), nothing behind it can
// be told, and that is said (`whole`). Sources: Include/opcode.h, Lib/opcode.py, Python/instrumentation.c at
// v3.6.0 to v3.15.0.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attach/address.h"
#include "pyframes/opcodes.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct Instruction {
  std::int64_t offset = 0;  // in bytes; of the first EXTENDED_ARG, if there are any
  std::int64_t at = 0;      // of the instruction itself
  Op op = Op::other;
  std::uint8_t opcode = 0;
  std::uint32_t argument = 0;
};

struct Bytecode {
  std::vector<Instruction> instructions;
  bool whole = false;
};

// Kept for the look; null: the code object or its version is not known.
std::shared_ptr<const Bytecode> read_bytecode(Reading& reading, attach::Address code);

// A place that an expression of the source names: a variable, a global or a closed-over variable, and
// attributes of it.
struct Expression {
  enum class Root { none, variable, global, cell, name };
  Root root = Root::none;
  std::uint32_t index = 0;                // of the variable's slot, or of the name in co_names
  std::vector<std::uint32_t> attributes;  // in co_names
};

// `EXPRESSION.method(…)`.
struct MethodCall {
  Expression object;
  std::string method;
  std::int64_t load = 0;  // where the method is looked up
  std::int64_t call = 0;  // where it is called
  // It has arguments, and no branch tests what it gives: an `acquire(timeout=1)` that may have failed.
  bool may_have_failed = false;
};

// Whether what the call at `place` gives is tested right after it, perhaps out of a variable.
bool is_tested(const Bytecode& bytecode, std::size_t place);

// All calls of methods with these names, in the order of the code. Kept for the look.
std::shared_ptr<const std::vector<MethodCall>> method_calls(Reading& reading, attach::Address code);

// The text of a name of the code object (co_names); empty if it can't be read.
std::string name_of_code(Reading& reading, attach::Address code, std::uint32_t index);

// What the expression would give now, without running code: instance attributes, then those of classes; of
// modules and classes their own. None: it can't be told.
std::optional<attach::Address> evaluate(Reading& reading, const FrameCopy& frame,
                                        const Expression& expression);

}  // namespace pythreads::pyframes
