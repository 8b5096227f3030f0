// What `sys` of the target's first interpreter says of its own CPython: the exact version, and whether it is
// a debug build. Reading it proves at the same time that the layout fits: a wrong one finds no dict there, or
// no such int in it.
#pragma once

#include <string>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/result.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

struct SysModule {
  PyVersion version;                                                 // sys.hexversion
  bool debug = false;                                                // sys.abiflags has a "d" (Py_DEBUG)
  attach::Address dict, hexversion, abiflags, builtin_module_names;  // null: not found
};

// ErrorCode::corrupt: what is there is not `sys` of a CPython 3, or there is none yet (the interpreter
// starts).
attach::Result<SysModule> read_sys_module(const RuntimeLayout& layout, attach::Memory& memory,
                                          attach::Address runtime);

// Compares the sizes that the target's types tell (tp_basicsize) with the layout's. Empty if they agree, else
// which type differs and how.
std::string check_layout(const RuntimeLayout& layout, attach::Memory& memory, const SysModule& sys);

}  // namespace pythreads::pyframes
