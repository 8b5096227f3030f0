// Free-threaded builds: the stop of the world, which stands an interpreter's threads, or those of all
// interpreters, still (a collection, a fork, a change to a type).
//
// Who requests it waits on `stop_event` until every other thread has stopped: one that is detached is marked
// suspended, and parks on its own `state` when it wants to attach again; one that is attached stops by itself
// when it looks at its eval breaker. A thread inside a native call that has not given its thread state up
// does not look, so everybody waits for it.
// Sources: Python/pystate.c (stop_the_world, park_detached_threads, tstate_wait_attach),
// Include/internal/pycore_interp_structs.h (_stoptheworld_state) at v3.13.0 to v3.15.0.
#pragma once

#include <optional>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct WorldStop {
  bool requested = false;
  bool global = false;        // of all interpreters; else of the one
  attach::Address of;         // the interpreter or _PyRuntime
  attach::Address requester;  // its thread state; null: not known
};

// None: such builds alone have it, or it could not be read.
std::optional<WorldStop> world_stop(const RuntimeLayout& layout, const RuntimeCopy& copy,
                                    const InterpreterCopy& interpreter);

// Whether this is the event that the requester waits on; `global` as above.
bool is_stop_event(const RuntimeLayout& layout, const RuntimeCopy& copy, const InterpreterCopy& interpreter,
                   attach::Address address, bool& global);

}  // namespace pythreads::pyframes
