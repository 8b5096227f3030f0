// What is held while a `with` block on an object is open: the object itself, or the locks that its
// `__enter__` took. The rules are tried in this order and stand, each with its word, in lock_managers.cpp.
//
// The standard library's managers are known: a Condition's lock, a semaphore's permit, what a
// contextlib generator or an ExitStack keeps open. A program's own class is asked what its `__exit__` gives
// back: of its attributes that are locks, the one that the code of `__exit__` names beside `release` or
// `__exit__`. Sources: Lib/threading.py, Lib/contextlib.py, Lib/multiprocessing/synchronize.py at v3.8.0 to
// v3.15.0.
#pragma once

#include <string>
#include <vector>

#include "attach/address.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct ManagedLock {
  attach::Address object;  // as describe_sync_object knows it
  PyHoldTrust trust = PyHoldTrust::likely;
  bool permit = false;  // of a semaphore
  std::string rule;     // stable word
  std::string evidence;
  PyPlace taken;  // where inside of the manager; line 0: where the manager was entered
};

// Empty: it manages no lock that could be told. `depth`: of managers inside of managers, which are followed a
// few levels.
std::vector<ManagedLock> locks_of_manager(Reading& reading, attach::Address manager, int depth = 0);

// What the manager released when it was entered and will take again: `with unlocked(lock):` inside of `with
// lock:`.
std::vector<attach::Address> released_by_manager(Reading& reading, attach::Address manager);

// The lock that an object's `acquire()` takes, where that is another: a Condition's, a multiprocessing
// wrapper's, that of a class whose `release` releases one. Else the object itself.
attach::Address lock_behind(Reading& reading, attach::Address object);

}  // namespace pythreads::pyframes
