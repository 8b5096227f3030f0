// From registers and a copied stack to addresses and their names, after the target was released.
//
// Unwind tables (.eh_frame) come from the module's file, or from the target where there is no file (the vdso,
// a deleted file that can't be opened); the stack from the pages that were copied while held. Neither a pid
// nor ptrace is known here, so a core or a recording is walked alike.
//
// The tables are read by our own reader (cfi.h). Measured on 100 threads of 20 frames of a CPython with 30 MB
// of DWARF: docs/unwinding.md has the figures for it, libunwind and libdwfl.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attach/mapping.h"
#include "attach/memory.h"
#include "attach/modules.h"
#include "attach/target_files.h"
#include "attach/thread_state.h"
#include "unwinder/native_stack.h"

namespace pythreads::unwinder {

enum class Detail {
  names,            // function, module, offsets
  names_and_lines,  // and file, line and inlined calls from DWARF: 10 to 20 ms more for a libpython that has
                    // it
};

// Modules, opened files and decoded rows; kept over all threads, and over all looks at one target. Not for
// two threads of ours at once.
class Unwinder {
 public:
  // `mappings` tell code from other memory; without them a return address outside of all modules can't be
  // told from garbage as well. `files` must outlive this; the rest is copied.
  Unwinder(const std::vector<attach::Module>& modules, attach::TargetFiles& files,
           const std::vector<attach::Mapping>& mappings = {});
  ~Unwinder();
  Unwinder(Unwinder&&) noexcept;
  Unwinder& operator=(Unwinder&&) noexcept;

  // Addresses only, innermost first. Never fails as a whole: what could be walked is in `frames`, and `gap`
  // says why it ended. `memory` has the stack as it was while held; `lasting` is asked for what doesn't
  // change (the vdso, tables of a module without a file).
  NativeStack walk(const attach::Registers& registers, attach::Memory& memory, attach::Memory& lasting);
  NativeStack walk(const attach::Registers& registers, attach::Memory& memory) {
    return walk(registers, memory, memory);
  }

  // Fills function, module, offsets, file and line, and puts inlined calls in. In place, each pc looked up
  // once; may be called again for more detail. All stacks of a look at once cost one pass over each symbol
  // table; one by one a few.
  void symbolize(std::span<NativeStack* const> stacks, Detail detail = Detail::names_and_lines);
  void symbolize(NativeStack& stack, Detail detail = Detail::names_and_lines);

  // Takes names and lines over from stacks that an unwinder of the same modules has symbolized, in another
  // process: what is known need not be looked up again.
  void learn(std::span<const NativeStack* const> stacks, Detail detail);

  // From now on files are asked for there. Those that are open stay so.
  void use_files(attach::TargetFiles& files);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pythreads::unwinder
