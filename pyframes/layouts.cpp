#include "pyframes/layouts.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "attach/architecture.h"

// What a table does not name is absent: that is what the tables mean by leaving it out.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "pyframes/layouts/cpython_3_10.h"
#include "pyframes/layouts/cpython_3_11.h"
#include "pyframes/layouts/cpython_3_12.h"
#include "pyframes/layouts/cpython_3_13.h"
#include "pyframes/layouts/cpython_3_14.h"
#include "pyframes/layouts/cpython_3_15.h"
#include "pyframes/layouts/cpython_3_6.h"
#include "pyframes/layouts/cpython_3_7.h"
#include "pyframes/layouts/cpython_3_8.h"
#include "pyframes/layouts/cpython_3_9.h"
#include "pyframes/layouts/linked_objects.h"
#pragma GCC diagnostic pop

namespace pythreads::pyframes {
namespace {

constexpr BuildKind release{}, debug{.debug = true}, no_gil{.free_threaded = true};

// The data of line events changed in 3.13.3 (gh-127953), of which no build was read.
constexpr RuntimeLayout with_line_data_of(RuntimeLayout layout, const RuntimeLayout& other) {
  layout.line_data = other.line_data;
  return layout;
}

constexpr RuntimeLayout cpython_3_13_0d =
    with_line_data_of(layouts::cpython_3_13_5d, layouts::cpython_3_13_0);
constexpr RuntimeLayout cpython_3_13_0t =
    with_line_data_of(layouts::cpython_3_13_5t, layouts::cpython_3_13_0);
constexpr RuntimeLayout cpython_3_13_3 = with_line_data_of(layouts::cpython_3_13_0, layouts::cpython_3_13_5);

// The tables are those of x86-64, and so are all others: what differs on another machine is the size of a
// pthread_mutex_t. The GIL has two, and what follows it moves: to 3.11 the rest of the runtime, from 3.12 on
// the end of the interpreter. Compared with DWARF of arm64 builds of 3.9, 3.11, 3.13, 3.14 and 3.15.
constexpr RuntimeLayout with_mutexes_of(RuntimeLayout layout, std::int32_t bytes) {
  if (layout.gil.mutex_size == 0) return layout;
  const std::int32_t more = bytes - layout.gil.mutex_size;
  layout.gil.mutex_size += more;
  layout.gil.switch_cond.offset += more;
  layout.gil.switch_mutex.offset += more;
  layout.gil.size += 2 * more;
  const auto move = [more](auto& field) {
    if (field.exists()) field.offset += 2 * more;
  };
  layout.runtime.size += 2 * more;
  if (layout.runtime.ceval_gil.exists()) {
    move(layout.runtime.gilstate_tstate_current);
  } else {
    layout.interpreter.size += 2 * more;
    move(layout.interpreter.stoptheworld_requested);
    move(layout.interpreter.stoptheworld_world_stopped);
    move(layout.interpreter.stoptheworld_stop_event);
    move(layout.interpreter.stoptheworld_requester);
  }
  return layout;
}

constexpr std::array tables = {
    LayoutRow{6, 15, release, &layouts::cpython_3_6_15},
    LayoutRow{7, 16, release, &layouts::cpython_3_7_16},
    LayoutRow{8, 18, release, &layouts::cpython_3_8_18},
    LayoutRow{9, 2, release, &layouts::cpython_3_9_2},
    LayoutRow{9, 2, debug, &layouts::cpython_3_9_2d},
    LayoutRow{9, 18, release, &layouts::cpython_3_9_18},
    LayoutRow{10, 13, release, &layouts::cpython_3_10_13},
    LayoutRow{11, 7, release, &layouts::cpython_3_11_7},
    LayoutRow{12, 1, release, &layouts::cpython_3_12_1},
    LayoutRow{13, 0, release, &layouts::cpython_3_13_0},
    LayoutRow{13, 0, debug, &cpython_3_13_0d},
    LayoutRow{13, 0, no_gil, &cpython_3_13_0t},
    LayoutRow{13, 3, release, &cpython_3_13_3},
    LayoutRow{13, 3, debug, &layouts::cpython_3_13_5d},
    LayoutRow{13, 3, no_gil, &layouts::cpython_3_13_5t},
    LayoutRow{13, 5, release, &layouts::cpython_3_13_5},
    LayoutRow{14, 10, release, &layouts::cpython_3_14_10},
    LayoutRow{14, 10, debug, &layouts::cpython_3_14_10d},
    LayoutRow{14, 10, no_gil, &layouts::cpython_3_14_10t},
    LayoutRow{15, 2, release, &layouts::cpython_3_15_2},
    LayoutRow{15, 2, debug, &layouts::cpython_3_15_2d},
    LayoutRow{15, 2, no_gil, &layouts::cpython_3_15_2t},
};

// From then on objects are the same with Py_TRACE_REFS and without (gh-108634).
constexpr int first_with_a_table_of_objects = 13;

constexpr bool may_have_linked_objects(const LayoutRow& row) {
  return row.minor < first_with_a_table_of_objects;
}

constexpr std::size_t linked_count = static_cast<std::size_t>(std::count_if(
    tables.begin(), tables.end(), [](const auto& row) { return may_have_linked_objects(row); }));

constexpr auto layouts_here = [] {
  std::array<RuntimeLayout, tables.size() + linked_count> layouts{};
  std::size_t linked = tables.size();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    layouts[i] = with_mutexes_of(*tables[i].layout, attach::pthread_mutex_bytes);
    if (may_have_linked_objects(tables[i])) layouts[linked++] = layouts::with_linked_objects(layouts[i]);
  }
  return layouts;
}();

constexpr auto rows = [] {
  std::array<LayoutRow, layouts_here.size()> rows_here{};
  std::size_t linked = tables.size();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    rows_here[i] = tables[i];
    rows_here[i].layout = &layouts_here[i];
    if (!may_have_linked_objects(tables[i])) continue;
    rows_here[linked] = tables[i];
    rows_here[linked].kind.linked_objects = true;
    rows_here[linked].layout = &layouts_here[linked];
    ++linked;
  }
  return rows_here;
}();

// Before, Py_DEBUG meant Py_TRACE_REFS (bpo-36465).
constexpr int first_with_debug_alone = 8;

const LayoutRow* find_row(int minor, int micro, BuildKind kind) {
  const LayoutRow* best = nullptr;
  for (const LayoutRow& row : rows) {
    if (row.minor != minor || row.kind.free_threaded != kind.free_threaded) continue;
    if (row.kind.debug != kind.debug || row.kind.linked_objects != kind.linked_objects) continue;
    if (best == nullptr || row.micro <= micro) best = &row;
  }
  return best;
}

}  // namespace

std::span<const LayoutRow> layout_rows() {
  return rows;
}

const RuntimeLayout* find_layout(const PyVersion& version, BuildKind kind) {
  if (version.major != 3) return nullptr;
  if (kind.debug && version.minor < first_with_debug_alone) kind.linked_objects = true;
  const LayoutRow* row = find_row(version.minor, version.micro, kind);
  if (row == nullptr && kind.debug) {
    kind.debug = false;
    row = find_row(version.minor, version.micro, kind);
  }
  return row == nullptr ? nullptr : row->layout;
}

const RuntimeLayout* newest_layout(bool free_threaded) {
  const RuntimeLayout* newest = nullptr;
  for (const LayoutRow& row : rows) {
    if (row.kind.free_threaded == free_threaded && !row.kind.debug && !row.kind.linked_objects)
      newest = row.layout;
  }
  return newest;
}

}  // namespace pythreads::pyframes
