// A Python object as a person may see it, without running any of its code: text in the manner of repr(),
// bounded in length, depth and number of objects looked at.
//
// Only what an exact layout tells is shown: str, bytes, int, float, bool, None, list, tuple, set, dict and
// their subclasses; everything else by type and address, `<bank.Account at 0x7f…>`. Values under a key that
// looks like a secret, and passwords inside strings, are hidden (redaction.h) unless the options say not to.
// The objects belong to an untrusted target and may be in the middle of a change.
#pragma once

#include <cstddef>
#include <string>

#include "attach/address.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct ValueLimits {
  std::size_t characters = 200;  // of one str or bytes
  std::size_t items = 10;        // of one container
  std::size_t depth = 3;         // of containers inside containers
  std::size_t objects = 100;     // in all
  std::size_t text = 1000;       // bytes of text in all
};

// Never fails: what can't be read is shown as `<unreadable at 0x…>`.
PyValue read_value(Reading& reading, attach::Address object, const ValueLimits& limits = {});

// "<redacted>"
PyValue redacted_value();

// repr() of text that is valid UTF-8: quotes as CPython chooses them, what is not printable escaped.
std::string quoted(std::string_view text);
// float.__repr__
std::string float_text(double value);

}  // namespace pythreads::pyframes
