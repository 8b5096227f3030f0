// One line of /proc/PID/maps (proc(5)).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attach/address.h"

namespace pythreads::attach {

struct Mapping {
  Range range;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t file_offset = 0;
  std::uint64_t device = 0;  // makedev(major, minor); 0 with inode 0 when no file is behind it
  std::uint64_t inode = 0;
  std::string path;      // as the target sees it, unescaped; "[heap]", "[stack]", "[vdso]" or empty
  bool deleted = false;  // the file's name is gone (" (deleted)" is cut off `path`)
};

// The mapping that holds the address, of a list in the order of the addresses; null: none does.
inline const Mapping* find_mapping(const std::vector<Mapping>& mappings, Address at) {
  auto next = std::upper_bound(mappings.begin(), mappings.end(), at,
                               [](Address address, const Mapping& m) { return address < m.range.begin; });
  if (next == mappings.begin()) return nullptr;
  --next;
  return next->range.contains(at) ? &*next : nullptr;
}

}  // namespace pythreads::attach
