// Source lines and inlined calls from DWARF, by libdw over a `DebugImage`.
//
// libdw is kept from what an untrusted file can do to it: it sees one bounded unit at a time, and the tree of
// entries is walked here with a bound on its depth (dwarf_getscopes recurses).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attach/shared_text.h"
#include "unwinder/debug_image.h"

namespace pythreads::unwinder {

struct InlinedCall {
  attach::SharedText function;  // as in the file, not demangled
  attach::SharedText file;      // where in it the address lies; empty: unknown
  int line = 0;
};

struct SourcePlace {
  std::uint64_t address = 0;         // as in the file: pc - bias
  attach::SharedText file;           // in the function itself
  int line = 0;                      // 0: unknown
  std::vector<InlinedCall> inlined;  // innermost first
};

// Fills what DWARF says of each place. At most `most_units` units are read, in the order of their addresses.
void find_source_places(DebugImage& image, std::span<SourcePlace> wanted);

}  // namespace pythreads::unwinder
