// What is tried where no unwind table covers an address: code made at run time, hand-written assembly, a call
// through a bad pointer. Frames found so are `scanned`, and none is believed on its own word: a return
// address must lie in a module's code, be covered by its unwind tables, and follow a call instruction. A
// chain of frame pointers through code without a module is accepted only when it ends at such an address. In
// a module without tables (musl's libc) the stack is scanned for one from which the tables lead on; frames
// between are not seen.
#pragma once

#include <vector>

#include "attach/address.h"
#include "attach/target_files.h"
#include "unwinder/cpu_state.h"
#include "unwinder/loaded_modules.h"
#include "unwinder/stack_window.h"

namespace pythreads::unwinder {

// `pc_is_exact`: the frame is the innermost one or was interrupted, so it may not have called anything.
std::vector<CpuState> guess_callers(const CpuState& state, bool pc_is_exact, LoadedModules& modules,
                                    attach::TargetFiles& files, attach::Memory& lasting, StackWindow& stack);

// A signal trampoline without unwind tables (musl; the kernel's on aarch64): told by its two instructions,
// the registers are in the frame that the kernel built.
std::optional<CpuState> leave_signal_trampoline(const CpuState& state, LoadedModules& modules,
                                                attach::TargetFiles& files, attach::Memory& lasting,
                                                StackWindow& stack);

}  // namespace pythreads::unwinder
