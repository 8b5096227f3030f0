// What hold_target keeps in its memory for its tests: it prints the address of one `Shared` and a line end.
#pragma once

#include <atomic>
#include <cstdint>

namespace pythreads::tests {

inline constexpr std::uint64_t shared_magic = 0x7079746872656164;
inline constexpr int max_counters = 256;

struct Shared {
  std::uint64_t magic = shared_magic;
  std::uint64_t page = 0;                  // userfault: an address whose first touch waits for somebody
  std::atomic<std::uint64_t> signals{0};   // signals: how many handlers ran
  std::atomic<std::uint64_t> failures{0};  // calls that did not do what they should
  std::atomic<std::uint64_t> counters[max_counters] = {};
};

}  // namespace pythreads::tests
