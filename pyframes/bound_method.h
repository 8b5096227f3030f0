// A bound method, of C or of Python, as an object that a frame or another object refers to: `lock.release` in
// a variable, `event.set` in a Timer. Who has it may call it. Sources: Include/cpython/methodobject.h
// (PyCFunctionObject), Include/cpython/classobject.h (PyMethodObject) at v3.9.0.
#pragma once

#include <optional>
#include <string>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct BoundMethod {
  attach::Address self;
  std::string name;  // "release"; empty: it could not be read
};

// None: the object is no bound method.
std::optional<BoundMethod> read_bound_method(Reading& reading, attach::Address object);

}  // namespace pythreads::pyframes
