#include "pyframes/layouts.h"

#include <array>

// What a table does not name is absent: that is what the tables mean by leaving it out.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include "pyframes/layouts/cpython_3_10.h"
#include "pyframes/layouts/cpython_3_11.h"
#include "pyframes/layouts/cpython_3_12.h"
#include "pyframes/layouts/cpython_3_13.h"
#include "pyframes/layouts/cpython_3_14.h"
#include "pyframes/layouts/cpython_3_15.h"
#include "pyframes/layouts/cpython_3_8.h"
#include "pyframes/layouts/cpython_3_9.h"
#pragma GCC diagnostic pop

namespace pythreads::pyframes {
namespace {

constexpr bool debug = true, release = false;
constexpr bool gil = false, no_gil = true;

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

constexpr std::array rows = {
    LayoutRow{8, 18, release, gil, &layouts::cpython_3_8_18},
    LayoutRow{9, 2, release, gil, &layouts::cpython_3_9_2},
    LayoutRow{9, 2, debug, gil, &layouts::cpython_3_9_2d},
    LayoutRow{9, 18, release, gil, &layouts::cpython_3_9_18},
    LayoutRow{10, 13, release, gil, &layouts::cpython_3_10_13},
    LayoutRow{11, 7, release, gil, &layouts::cpython_3_11_7},
    LayoutRow{12, 1, release, gil, &layouts::cpython_3_12_1},
    LayoutRow{13, 0, release, gil, &layouts::cpython_3_13_0},
    LayoutRow{13, 0, debug, gil, &cpython_3_13_0d},
    LayoutRow{13, 0, release, no_gil, &cpython_3_13_0t},
    LayoutRow{13, 3, release, gil, &cpython_3_13_3},
    LayoutRow{13, 3, debug, gil, &layouts::cpython_3_13_5d},
    LayoutRow{13, 3, release, no_gil, &layouts::cpython_3_13_5t},
    LayoutRow{13, 5, release, gil, &layouts::cpython_3_13_5},
    LayoutRow{14, 10, release, gil, &layouts::cpython_3_14_10},
    LayoutRow{14, 10, debug, gil, &layouts::cpython_3_14_10d},
    LayoutRow{14, 10, release, no_gil, &layouts::cpython_3_14_10t},
    LayoutRow{15, 2, release, gil, &layouts::cpython_3_15_2},
    LayoutRow{15, 2, debug, gil, &layouts::cpython_3_15_2d},
    LayoutRow{15, 2, release, no_gil, &layouts::cpython_3_15_2t},
};

const LayoutRow* find_row(int minor, int micro, bool wants_debug, bool free_threaded) {
  const LayoutRow* best = nullptr;
  for (const LayoutRow& row : rows) {
    if (row.minor != minor || row.free_threaded != free_threaded || row.debug != wants_debug) continue;
    if (best == nullptr || row.micro <= micro) best = &row;
  }
  return best;
}

}  // namespace

std::span<const LayoutRow> layout_rows() {
  return rows;
}

const RuntimeLayout* find_layout(const PyVersion& version, bool is_debug, bool free_threaded) {
  if (version.major != 3) return nullptr;
  const LayoutRow* row = find_row(version.minor, version.micro, is_debug, free_threaded);
  if (row == nullptr && is_debug) row = find_row(version.minor, version.micro, false, free_threaded);
  return row == nullptr ? nullptr : row->layout;
}

const RuntimeLayout* newest_layout(bool free_threaded) {
  const RuntimeLayout* newest = nullptr;
  for (const LayoutRow& row : rows) {
    if (row.free_threaded == free_threaded && !row.debug) newest = row.layout;
  }
  return newest;
}

}  // namespace pythreads::pyframes
