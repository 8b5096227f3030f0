// Frames that began in the middle of another one, which did not call them: a signal handler, a finalizer, a
// trace function. What such a frame waits for may be held by the very code that it interrupted.
//
// A signal handler is called with the number and the frame that it interrupted (signal.signal), a trace
// function with the frame, an event and its argument (sys.settrace): a frame that was entered from C and has
// the next outer frame's own frame object among its first arguments is one of these, whatever it is called;
// so it is where a handler takes them as `*args`. A finalizer is a `__del__` that C called, weakref.finalize,
// or a weak reference's callback: its first argument is a plain reference that is dead and has no callback
// any more (PyObject_ClearWeakRefs takes it before the call), and the outer frame is at an instruction that
// gives up a reference; map and its like can call a function with such an argument as well, but not from
// there. While the collector runs, a finalizer is the collector's doing. An import is the frame of importlib
// that finds and loads. Sources: Modules/signalmodule.c (_PyErr_CheckSignalsTstate), Python/sysmodule.c
// (call_trampoline), Objects/typeobject.c (slot_tp_finalize), Objects/weakrefobject.c, Lib/weakref.py at
// v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// While held: touches the first arguments of frames that C entered.
void fetch_triggers(Reading& reading, const RuntimeCopy& copy);

// PyFrame::trigger. REQUIRES: read_frames, and gc_collecting of the interpreters.
void read_triggers(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
