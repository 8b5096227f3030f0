// Where CPython is in a process: `_PyRuntime`, its exact version and build, and the layout that goes with
// them.
//
// Looked for in every module (runtime_search.h): by what it exports, by .symtab, by the section `.PyRuntime`,
// last by what its data look like. The version: the runtime's own _Py_DebugOffsets.version (3.13 on), else
// the symbol `Py_Version` (3.11 on), else the table by which `sys.hexversion` reads as that table's version.
// Several copies may be mapped (ctypes maps the executable again, dlmopen a library): one whose `sys` can be
// read is running. Where several run, the one with the most threads is read, and the others are named.
// Before 3.7 there is no _PyRuntime: runtime_places.h.
#pragma once

#include <string>
#include <vector>

#include "attach/address.h"
#include "attach/result.h"
#include "attach/target.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

struct Runtime {
  attach::Address address;  // of _PyRuntime, or of the lowest variable of what it became
  PyVersion version;
  bool debug = false;
  bool free_threaded = false;
  Linkage linkage = Linkage::static_executable;
  std::string library;
  RuntimeLayout layout;
  LayoutTrust layout_trust = LayoutTrust::exact;
  std::string layout_note;          // why extrapolated, or which self-check of the table failed
  std::vector<std::string> others;  // that another CPython runs in the process, as sentences
};

// ErrorCodes: not_python (and when a Python is its only child, that is for the caller to say), unsupported
// (an older one without a table), corrupt (found, but nothing of it could be walked).
attach::Result<Runtime> find_runtime(attach::Target& target);

}  // namespace pythreads::pyframes
