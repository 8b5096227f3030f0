// The committed layout tables, and which one goes with a version.
//
// A row is a build whose DWARF was read: CPython's private structs may change in a patch release (3.13.5
// moved what follows _PyRuntimeState.ceval), so a version takes the table of the newest row that is not newer
// than itself, or the oldest of its minor version. What changed between two builds that were read, and is
// known by the sources alone, has rows of its own. Debug builds (Py_DEBUG) differ from release builds only in
// the tails of PyInterpreterState and _PyRuntimeState; where no debug build was read, the release's table
// stands. A free-threaded build never takes the table of one with the GIL: its objects have a longer head.
// Nor does one whose objects are linked (Py_TRACE_REFS; to 3.7 every debug build) take that of one whose are
// not: each table to 3.12 gives another for it, by one rule (layouts/linked_objects.h).
//
// The tables are constants; nobody owns them. Include/internal/ at the tag that each table's `source` names.
#pragma once

#include <span>

#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

// How a CPython was configured, as far as it moves fields.
struct BuildKind {
  bool debug = false;           // Py_DEBUG
  bool free_threaded = false;   // Py_GIL_DISABLED
  bool linked_objects = false;  // Py_TRACE_REFS to 3.12
};

struct LayoutRow {
  int minor = 0, micro = 0;  // of Python 3
  BuildKind kind;
  const RuntimeLayout* layout = nullptr;
};

// All rows, oldest version first; those of linked objects behind all others.
std::span<const LayoutRow> layout_rows();

// nullptr: there is no table for this minor version and kind of build.
const RuntimeLayout* find_layout(const PyVersion& version, BuildKind kind);

// The table to begin with for a CPython newer than every row; nullptr: none of this kind.
const RuntimeLayout* newest_layout(bool free_threaded);

}  // namespace pythreads::pyframes
