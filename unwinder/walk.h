// From registers and a copied stack to addresses, after the target was released. Names come later
// (symbolize.h).
//
// Unwind tables (.eh_frame) come from the module's file or from the pages that were read; the stack from the
// pages that were copied while held. Neither a pid nor ptrace is known here, so a core or a recording is
// walked alike.
#pragma once

#include <memory>
#include <vector>

#include "attach/memory.h"
#include "attach/modules.h"
#include "attach/target_files.h"
#include "attach/thread_state.h"
#include "unwinder/native_stack.h"

namespace pythreads::unwinder {

// Modules, opened files and parsed tables; kept over all threads, and over all looks at one target.
class Unwinder {
 public:
  Unwinder(const std::vector<attach::Module>& modules, attach::TargetFiles& files);
  ~Unwinder();
  Unwinder(Unwinder&&) noexcept;
  Unwinder& operator=(Unwinder&&) noexcept;

  // Addresses only, innermost first. Never fails as a whole: what could be walked is in `frames`, and `gap`
  // says why it ended.
  NativeStack walk(const attach::Registers& registers, attach::Memory& memory);

  // Fills function, module, offsets, file and line, and puts inlined calls in. In place, each pc looked up
  // once.
  void symbolize(NativeStack& stack);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pythreads::unwinder
