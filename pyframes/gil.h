// Who holds the GIL and who waits for it, from memory and system calls alone.
//
// The holder is `last_holder` while `locked` is 1. A waiter is a thread that sleeps on a futex word inside
// one of the GIL's four pthread objects; what glibc keeps where inside them has changed often, so whole
// ranges are asked. take_gil waits in a loop of 5 ms: between two futex calls a waiter runs, and then nothing
// is said of it here, unless its own thread state does (gil_requested, 3.15). A holder that still sleeps
// there was handed the GIL and has not run since. On free-threaded builds with the GIL off there is none.
// Source: Python/ceval_gil.c at v3.8.0 to v3.15.0.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

void fetch_gil(Reading& reading, const RuntimeCopy& copy);

// PyInterpreter::gil and gil_gap; PyThread::holds_gil, waits_for_gil, gil_evidence.
// REQUIRES: match_os_threads(reading, copy).
void read_gil(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

// Whether a futex word belongs to a GIL of this runtime: such a sleeper waits for no lock of its own.
bool is_gil_word(Reading& reading, const RuntimeCopy& copy, attach::Address word);

}  // namespace pythreads::pyframes
