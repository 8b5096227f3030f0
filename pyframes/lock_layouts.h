// Where lock objects keep their state, chosen by the size of the object and never by version: `_thread.lock`
// changed between 3.13.0 and 3.13.5, `_thread.RLock` with 3.14. Offsets count from the end of the object head
// (layout.object.size), which is longer on free-threaded builds; so does the size that a variant is known by.
//
// semaphore: the object points to a malloc'ed sem_t, and a waiter's futex word is the sem_t itself (glibc
// keeps its value first). parking lot: the object holds a one-byte mutex, bit 0 locked, and a waiter sleeps
// on a semaphore on its own stack, beside which wait_entry.addr gives the mutex. Sources:
// Modules/_threadmodule.c at v3.8.0, v3.13.0, v3.13.5, v3.14.0; Python/thread_pthread.h (USE_SEMAPHORES);
// Include/internal/pycore_lock.h at v3.14.0.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pyframes/python_state.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

struct LockLayout {
  PySyncKind kind = PySyncKind::lock;
  std::string_view type_name;    // tp_name of the type
  std::int32_t size = 0;         // tp_basicsize without the head
  PointerField semaphore{};      // → sem_t
  ByteField mutex{};             // PyMutex: bit 0 is set while locked
  ByteField locked{};            // of the semaphore variant of lock
  Field<std::uint64_t> owner{};  // ident; stale while not owned
  Field<std::uint64_t> count{};  // how often it was taken, minus `count_bias`
  std::uint64_t count_bias = 0;
};

inline constexpr std::array<LockLayout, 4> lock_layouts{{
    {.kind = PySyncKind::lock, .type_name = "_thread.lock", .size = 24, .semaphore = {0}, .locked = {16}},
    {.kind = PySyncKind::lock, .type_name = "_thread.lock", .size = 8, .mutex = {0}},
    {.kind = PySyncKind::rlock,
     .type_name = "_thread.RLock",
     .size = 32,
     .semaphore = {0},
     .owner = {8},
     .count = {16}},
    {.kind = PySyncKind::rlock,
     .type_name = "_thread.RLock",
     .size = 24,
     .mutex = {0},
     .owner = {8},
     .count = {16},
     .count_bias = 1},
}};

// None: no lock type has this name, or none of this size is known.
constexpr const LockLayout* find_lock_layout(std::string_view type_name, std::int64_t size_without_head) {
  for (const LockLayout& layout : lock_layouts) {
    if (layout.type_name == type_name && layout.size == size_without_head) return &layout;
  }
  return nullptr;
}

constexpr bool is_lock_type_name(std::string_view type_name) {
  for (const LockLayout& layout : lock_layouts) {
    if (layout.type_name == type_name) return true;
  }
  return false;
}

}  // namespace pythreads::pyframes
