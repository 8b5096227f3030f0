// What a module exports, asked of the target's own memory and of no file: the dynamic linker needs
// PT_DYNAMIC, .dynsym and its hash table at run time, so they are there where the file was deleted or
// replaced, may not be opened, or has lost its section headers. A few reads a module.
//
// A fully static executable exports nothing; what is local stands in .symtab alone (read_symbols of
// modules.h).
//
// The System V gABI (Dynamic Section, Hash Table); glibc elf/dl-lookup.c (do_lookup_x, DT_GNU_HASH) and
// sysdeps/generic/ldsodefs.h: glibc adds the bias to the dynamic section's addresses in place, musl leaves
// them as they are in the file.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "attach/memory.h"
#include "attach/modules.h"

namespace pythreads::attach {

// Says to `memory` what a search of them all begins with.
void prefetch_exports(const std::vector<const Module*>& modules, Memory& memory);

// In the order of `names`; none where the module doesn't export it, or where its tables can't be read or
// can't be true. Undefined, thread-local and absolute symbols are not found.
std::vector<std::optional<Symbol>> find_exports(const Module& module, Memory& memory,
                                                const std::vector<std::string_view>& names);

}  // namespace pythreads::attach
