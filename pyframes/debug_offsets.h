// _Py_DebugOffsets: what CPython itself tells from 3.13 on about where its fields are, at the start of
// _PyRuntime. It is laid over the committed table, so that a patch release that moved something, or a newer
// minor version, is still read right.
//
// It is input like everything of the target, so it is checked whole before anything of it is used: the
// cookie, the version, and that each offset is aligned and lies inside the struct whose size is told beside
// it. Its own shape changes with each minor version: a table of positions says where each value stands.
// `gil_runtime_state_enabled` (0 even where it isn't) and `unicode_object.size` (PyUnicodeObject's) are known
// to be wrong and are not used. Source: Include/internal/pycore_runtime.h at v3.13.0,
// Include/internal/pycore_debug_offsets.h at v3.14.0 and v3.15.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attach/result.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

inline constexpr char debug_offsets_cookie[] = "xdebugpy";
inline constexpr std::size_t debug_offsets_header_size = 24;  // cookie, version, free_threaded
inline constexpr std::size_t max_debug_offsets_size = 1024;   // what a reader copies; 888 bytes in 3.15

struct DebugOffsetsHeader {
  PyVersion version;
  bool free_threaded = false;
};

PyVersion version_of_hex(std::uint32_t hex);

// ErrorCode::corrupt if the cookie, the version (3.13 or later) or the flag are not what they must be.
attach::Result<DebugOffsetsHeader> parse_debug_offsets_header(std::span<const std::byte> bytes);

// How many bytes the struct has in this minor version; a newer one than is known is read by the newest shape.
std::size_t debug_offsets_size(int minor);

enum class TableOf { the_same_version, another_version };

// The table with everything that the bytes tell in the place of its own. ErrorCode::corrupt if any of it
// can't be true: then nothing was used. What another version's table has and nothing tells moves with its
// neighbours, or is absent.
attach::Result<RuntimeLayout> lay_over(const RuntimeLayout& table, std::span<const std::byte> bytes,
                                       TableOf table_of = TableOf::the_same_version);

}  // namespace pythreads::pyframes
