// Where CPython is in a process: `_PyRuntime`, its exact version and build, and the layout that goes with
// them.
//
// Looked for in the executable and in every libpython: by .dynsym, by .symtab, by the section `.PyRuntime`
// (3.10 on), and last by the cookie "xdebugpy" of _Py_DebugOffsets (3.13 on) in the writable part of a
// module. The version: the runtime's own _Py_DebugOffsets.version (3.13 on), else the symbol `Py_Version`
// (3.11 on), else what the file's read-only data say. Several copies may be mapped (ctypes maps the
// executable again): the one whose interpreter list can be walked is it.
#pragma once

#include <string>

#include "attach/address.h"
#include "attach/result.h"
#include "attach/target.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

struct Runtime {
  attach::Address address;  // of _PyRuntime
  PyVersion version;
  bool debug = false;
  bool free_threaded = false;
  Linkage linkage = Linkage::static_executable;
  std::string library;
  RuntimeLayout layout;
  LayoutTrust layout_trust = LayoutTrust::exact;
  std::string layout_note;  // why extrapolated, or which self-check of the table failed
};

// ErrorCodes: not_python (and when a Python is its only child, that is for the caller to say), unsupported
// (an older one without a table), corrupt (found, but nothing of it could be walked).
attach::Result<Runtime> find_runtime(attach::Target& target);

}  // namespace pythreads::pyframes
