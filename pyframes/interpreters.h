// The interpreters of a runtime and the thread states of each: the two linked lists that everything else
// hangs on.
//
// The lists are the target's: each node must name its interpreter, none is visited twice, their number is
// bounded, and a list that can't be followed further leaves a gap, never a short list that looks whole.
// Source: Include/internal/pycore_runtime.h, pycore_interp.h, Include/cpython/pystate.h at v3.8.0 to v3.15.0.
#pragma once

#include "attach/memory.h"
#include "attach/result.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"
#include "pyframes/struct_copy.h"

namespace pythreads::pyframes {

// The beginning of the struct as far as the layout has fields of it (the structs themselves are some hundred
// KB).
attach::Result<StructCopy> copy_runtime_struct(const RuntimeLayout& layout, attach::Memory& memory,
                                               attach::Address runtime);
attach::Result<StructCopy> copy_interpreter_struct(const RuntimeLayout& layout, attach::Memory& memory,
                                                   attach::Address interpreter);

// Both walks begin so. `frames` of the threads are left for chain_frames.
RuntimeCopy copy_interpreters(Reading& reading);

// `state` as far as the copies tell it: one PyInterpreter and PyThread for each copied one, in the same
// order.
void read_interpreters(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
