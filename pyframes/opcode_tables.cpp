#include <array>

#include "pyframes/opcodes/cpython_3_10.h"
#include "pyframes/opcodes/cpython_3_11.h"
#include "pyframes/opcodes/cpython_3_12.h"
#include "pyframes/opcodes/cpython_3_13.h"
#include "pyframes/opcodes/cpython_3_14.h"
#include "pyframes/opcodes/cpython_3_15.h"
#include "pyframes/opcodes/cpython_3_6.h"
#include "pyframes/opcodes/cpython_3_7.h"
#include "pyframes/opcodes/cpython_3_8.h"
#include "pyframes/opcodes/cpython_3_9.h"

namespace pythreads::pyframes {

const OpcodeTable* find_opcode_table(const PyVersion& version) {
  static constexpr std::array tables{&opcode_tables::cpython_3_6,  &opcode_tables::cpython_3_7,
                                     &opcode_tables::cpython_3_8,  &opcode_tables::cpython_3_9,
                                     &opcode_tables::cpython_3_10, &opcode_tables::cpython_3_11,
                                     &opcode_tables::cpython_3_12, &opcode_tables::cpython_3_13,
                                     &opcode_tables::cpython_3_14, &opcode_tables::cpython_3_15};
  if (version.major != 3) return nullptr;
  for (const OpcodeTable* table : tables) {
    if (table->minor == version.minor) return table;
  }
  return nullptr;
}

}  // namespace pythreads::pyframes
