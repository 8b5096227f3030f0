// How much memory there is left for us. In a pod the cgroup is the limit, and who runs out of it is killed by
// the kernel: us first, for we ask for that, but a look at a moment without memory is none.
//
// The narrowest of our cgroup and those above it, as far as they are seen here. What the kernel gives back by
// itself (file pages that nobody used lately) counts as free. cgroups(7);
// Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst at v6.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace pythreads::attach {

struct MemoryRoom {
  std::uint64_t limit = 0;
  std::uint64_t left = 0;
  std::string cgroup;  // its folder
};

// None: no limit is seen here. `root` is / but in tests: /proc/self/cgroup, /proc/self/mounts and what is
// mounted are looked for below it.
std::optional<MemoryRoom> find_memory_room(const std::string& root = {});

// What a look at a process with so many threads takes at the most, of those that docs/benchmark.md has: its
// figures, and four tenths for what the process that decodes has of its own (measured in a memory cgroup:
// 26 MiB become 36 with 1,000 threads of 20 frames).
std::uint64_t estimate_memory(std::size_t threads);

}  // namespace pythreads::attach
