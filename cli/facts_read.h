// What is read of a target after it goes on: plain facts, which a process of its own may have read
// (attach/read_apart.h).
#pragma once

#include <vector>

#include "pyframes/python_state.h"
#include "unwinder/native_stack.h"

namespace pythreads::cli {

struct WalkedStack {
  unwinder::NativeStack native;
  bool walked = false;
};

struct FactsRead {
  pyframes::PyRuntimeState runtime;
  std::vector<WalkedStack> stacks;  // of the target's threads, in their order
  bool deadline_passed = false;     // and what it left unread is a gap
};

}  // namespace pythreads::cli
