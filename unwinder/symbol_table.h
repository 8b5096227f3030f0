// Names for addresses from an ELF symbol table. The table is read through in pieces, once for all addresses
// that are wanted, and only the names that are found are read: a library with 500,000 symbols costs no more
// memory than a small one.
//
// A symbol names an address only inside [value, value + size). A symbol without a size (PLT stubs, some
// assembly) names nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "unwinder/elf_file.h"

namespace pythreads::unwinder {

struct WantedSymbol {
  std::uint64_t address = 0;  // as in the file: pc - bias
  bool found = false;
  std::string name;  // as in the file, without "@VERSION"
  std::uint64_t value = 0;
};

// Looks up those that are not `found` yet. REQUIRES: sorted by address. `type` is SHT_DYNSYM or SHT_SYMTAB.
// Of several symbols the one that begins last wins, then global before weak before local, then the one with
// fewer leading underscores (`pthread_cond_wait`, not `__pthread_cond_wait`), then the alphabet.
void find_symbols(ElfFile& elf, std::uint32_t type, std::span<WantedSymbol> wanted);

}  // namespace pythreads::unwinder
