// The local variables of each frame, for --locals: names from the code object, values from the frame.
//
// The slots of `localsplus` in order: to 3.10 co_varnames, then cells, then free variables; from 3.11 on
// co_localsplusnames with a kind for each. A cell is followed to what it holds. A variable that is not bound
// is left out, as `locals()` does. Code without fast locals (a module's, a class's body) has them in a dict;
// of a module's the names with two underscores are left out.
// Sources: Objects/frameobject.c (PyFrame_FastToLocals, _PyFrame_GetLocals), Include/internal/pycore_code.h
// (CO_FAST_*), Include/internal/pycore_stackref.h at v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// Does nothing without ReadOptions::locals.
void fetch_locals(Reading& reading, const RuntimeCopy& copy);

// PyFrame::locals and locals_gap.
void read_locals(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

// locals_gap of each frame: the pause budget left no time for them.
void give_up_locals(PyRuntimeState& state);

}  // namespace pythreads::pyframes
