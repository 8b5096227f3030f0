// A native stack: addresses found by walking, names found from files. Plain facts.
//
// A symbol names an address only inside [value, value + size): the nearest below is a lie in stripped builds
// whose cold parts lie elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attach/address.h"
#include "attach/shared_text.h"

namespace pythreads::unwinder {

enum class FrameTrust {
  exact,    // the thread's own registers, or unwind tables
  scanned,  // a frame pointer was followed, or a return address was found on the stack
};

struct NativeFrame {
  attach::Address pc;               // where it will go on: the return address, except in the innermost frame
  attach::Address sp;               // the canonical stack position on entry into this frame's walk step
  attach::SharedText function;      // demangled; empty if no symbol holds the address
  attach::SharedText module;        // path as the target sees it; empty if no module holds it
  std::uint64_t module_offset = 0;  // pc - bias of the module
  std::uint64_t symbol_offset = 0;  // pc - start of the symbol
  attach::SharedText file;          // where DWARF has it
  int line = 0;                     // 0: unknown
  bool inlined = false;             // an inlined call: same pc as the next outer frame that is not
  bool signal_trampoline =
      false;  // the kernel put it there: the next outer frame was interrupted, not calling
  FrameTrust trust = FrameTrust::exact;
};

enum class StackEnd {
  root,  // the outermost frame was reached
  gap,   // the walk stopped before it, see `gap`
};

struct NativeStack {
  std::vector<NativeFrame> frames;  // innermost first
  StackEnd end = StackEnd::gap;
  std::string gap;  // why it ends early; empty at the root
};

}  // namespace pythreads::unwinder
