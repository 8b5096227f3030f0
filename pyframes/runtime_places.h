// Where the variables are that were gathered into _PyRuntime in 3.7: before, the list of interpreters, the
// GIL, the collector's flag are static variables of Python/pystate.c, ceval_gil.h and Modules/gcmodule.c.
//
// They are made to look like the struct that they became: the lowest of them is where it begins, and the
// fields of the layout's `runtime` and `gil` are their distances from there. So readers know of no variables;
// only what lies between them is not copied (read_parts of struct_copy.h).
//
// All but a few are local symbols, which a stripped file has not. The interpreters are found without: the
// function PyInterpreterState_Head loads their variable and returns it. The GIL is not, and then nothing is
// said of it. Source: Python/pystate.c, Python/ceval.c, Python/ceval_gil.h, Modules/gcmodule.c at v3.6.0.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/modules.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

// The symbols to look for, in the order in which find_runtime_places wants what was found.
const std::vector<std::string_view>& runtime_variable_names();

struct RuntimePlaces {
  attach::Address address;  // of the lowest variable
  // What is not known is absent.
  decltype(RuntimeLayout::runtime) runtime{};
  decltype(RuntimeLayout::gil) gil{};
};

// None: no CPython older than 3.7 that has a list of interpreters.
std::optional<RuntimePlaces> find_runtime_places(attach::Memory& memory,
                                                 const std::vector<std::optional<attach::Symbol>>& found);

}  // namespace pythreads::pyframes
