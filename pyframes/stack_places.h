// On which OS thread's C stack a thread state's frames run, and which of several states of one OS thread
// runs.
//
// PyThreadState.thread_id is who made the state, not who runs it: up to 3.12 a subinterpreter's state has its
// creator's ident though any thread may run it, and PyThreadState_Swap takes a state to any thread. What
// can't lie is where evaluation loops stand: each leaves a struct of its own on the C stack (the CFrame
// of 3.10 to 3.12, the entry frame from 3.12 on); its address lies in one thread's stack. 3.8 and 3.9 leave
// none: there the stacks of all are searched for the frame's and the state's address, and only for states
// that share an ident.
//
// Stacks grow down: of several states of one OS thread that with the lowest place runs, and the others are
// suspended below it. Sources: Python/ceval.c at v3.8.0 to v3.15.0, new_threadstate and _PyThreadState_Swap
// in Python/pystate.c, _run_script_in_interpreter in Modules/_xxsubinterpretersmodule.c at v3.8.0 to v3.12.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// ThreadCopy::os_thread where it was another's, stack_place, suspended.
// REQUIRES: match_os_threads(reading, copy), chain_frames(reading, copy).
void place_on_stacks(Reading& reading, RuntimeCopy& copy);

}  // namespace pythreads::pyframes
