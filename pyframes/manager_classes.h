// What a program's own class gives back in its `__exit__`: which of its attributes hold the lock that a
// `with` block on an instance keeps.
//
// No code runs: the class's methods are read. An attribute counts whose `release`, `__exit__` or `__aexit__`
// is named in `__exit__`, or in a method of its own that `__exit__` names, or in a base's `__exit__` where it
// calls that. One that the same method acquires before gives nothing back in sum (subprocess.Popen does so
// with its `_waitpid_lock`). It is sure only if `__enter__` takes the same attribute, by a call that can't
// fail, and if no branch stands before the one or the other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

// A place in terms of an instance of the class, or of a global of the method.
struct GivenBack {
  attach::Address object;  // what lies there now
  std::string name;        // "_lock", "state.mutex"
  bool sure = false;       // else it may be released or not, or is only named beside an unread release
};

// Empty: the class has no `__exit__` of Python, or it gives nothing back that could be told.
std::vector<GivenBack> given_back_by_exit(Reading& reading, attach::Address manager, attach::Address type);

// What lies where `__enter__` releases something: a manager that opens what another keeps closed.
std::vector<attach::Address> released_by_enter(Reading& reading, attach::Address manager,
                                               attach::Address type);

// What the class's own method of that name releases (`Guard.release` does `self._lock.release()`); none:
// nothing, or more than one thing.
std::optional<attach::Address> released_by_method(Reading& reading, attach::Address object,
                                                  attach::Address type, std::string_view method);

// The attributes that `__exit__` itself names without a `with` of its own, whatever it does with them.
std::vector<GivenBack> named_by_exit(Reading& reading, attach::Address manager, attach::Address type);

// An attribute of an instance: its own, one in `__slots__` (slots.h), or its class's.
std::optional<attach::Address> attribute_of(Reading& reading, attach::Address object, std::string_view name);

}  // namespace pythreads::pyframes
