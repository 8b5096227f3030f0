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

// What a thread that is parked for a mutex has on its stack: whether the mutex was handed over to it, locked.
// Python/lock.c (struct mutex_entry) at v3.13.0 to v3.15.0.
struct MutexEntryLayout {
  IntField handed_off{8};
};
inline constexpr MutexEntryLayout mutex_entry_layout{};

// _queue.SimpleQueue: a semaphore and a list to 3.12, a ring of items and the parking lot from 3.13 on.
// Modules/_queuemodule.c at v3.8.0, v3.13.0.
struct SimpleQueueLayout {
  std::int32_t size = 0;     // tp_basicsize without the head
  PointerField semaphore{};  // → sem_t
  ByteField waiting{};       // has_threads_waiting: what a getter is parked on
  PointerField list{};
  SizeField list_position{};  // how many of the list were taken
  SizeField get{};            // ring: the next item's index
  PointerField items{};
  SizeField capacity{}, num{};
};

inline constexpr std::array<SimpleQueueLayout, 2> simple_queue_layouts{{
    {.size = 40, .semaphore = {0}, .list = {16}, .list_position = {24}},
    {.size = 56, .waiting = {0}, .get = {16}, .items = {24}, .capacity = {32}, .num = {40}},
}};

constexpr const SimpleQueueLayout* find_simple_queue_layout(std::int64_t size_without_head) {
  for (const SimpleQueueLayout& layout : simple_queue_layouts) {
    if (layout.size == size_without_head) return &layout;
  }
  return nullptr;
}

// _multiprocessing.SemLock, the same in all versions. Modules/_multiprocessing/semaphore.c at v3.8.0.
struct SemLockLayout {
  PointerField handle{0};            // → sem_t, mapped from /dev/shm
  Field<std::uint64_t> last_tid{8};  // ident of who took it last
  IntField count{16};                // how often this process has it
  IntField maxvalue{20}, kind{24};   // kind: 0 recursive, 1 semaphore
  PointerField name{32};
};
inline constexpr SemLockLayout sem_lock_layout{};

// _io.BufferedReader, Writer, Random: a lock of the C API and who has it. Modules/_io/bufferedio.c at v3.8.0.
struct BufferedLayout {
  PointerField lock{88};
  Field<std::uint64_t> owner{96};
};
inline constexpr BufferedLayout buffered_layout{};

}  // namespace pythreads::pyframes
