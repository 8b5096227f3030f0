// Which lock it is, as a person would find it in the source: `bank.LOCK_A`, `bank.Account._lock`,
// `bank.transfer.lock`, `bank.LOCKS[2]`.
//
// An object does not know what it is called. Whoever waits for it or holds it has got hold of it by some
// name, so the names are looked for where these threads' frames stand: the globals of their modules, the
// classes and the attributes of the objects in their variables (`self` before all), containers among them,
// the classes and modules that these modules know, and the variables themselves. The name that says most to a
// reader of the source wins: a module's variable, then a class's, then an attribute by its class, then an
// element, then a local variable of the program. Variables of the standard library's functions are no names;
// an attribute of one of its classes is one (`logging.Handler.lock`). What has no such name has none.
//
// Bounds keep the search small: it is given up for the rest, never for owners. What is only held, and waited
// for by nobody, is named where its holders have it at hand.
//
// All of this is read after the release, from what was kept and else from the live target: a module may have
// thousands of names, and the target is not held for them. A name is found by the address of an object that
// a thread waits for or holds; no owner and no verdict hangs on it.
#pragma once

#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// PySyncObject::name of the objects that some thread waits for or holds. `reading.memory` may be the lasting
// one. REQUIRES: lock_wait, frame_objects and held of `state`'s threads, and its sync_objects.
void read_lock_names(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state);

}  // namespace pythreads::pyframes
