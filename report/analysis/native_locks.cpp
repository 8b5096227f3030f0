#include "report/analysis/native_locks.h"

#include <linux/futex.h>

#include <cstdint>
#include <cstring>

namespace pythreads::report {
namespace {

std::optional<std::int32_t> word_at(const attach::FutexWait& futex, std::int64_t offset) {
  const auto at = static_cast<std::int64_t>(futex.word - futex.around_begin) + offset;
  if (at < 0 || static_cast<std::uint64_t>(at) + sizeof(std::int32_t) > futex.around.size())
    return std::nullopt;
  std::int32_t value = 0;
  std::memcpy(&value, futex.around.data() + at, sizeof value);
  return value;
}

// Of a mutex that is locked and waited for: the tid of who has it.
std::optional<std::int32_t> holder_of(std::int32_t lock, std::int32_t owner, std::int32_t kind) {
  constexpr std::int32_t robust = 0x10, inherit = 0x20, protect = 0x40;
  constexpr std::int32_t waited_for = 2;
  constexpr std::int32_t ceiling = ~0x7ffff;  // PTHREAD_MUTEX_PRIO_CEILING_MASK
  if ((kind & (robust | inherit)) != 0) {
    // The kernel's own convention: FUTEX_WAITERS and the tid.
    const auto word = static_cast<std::uint32_t>(lock);
    if ((word & FUTEX_WAITERS) == 0) return std::nullopt;
    return static_cast<std::int32_t>(word & FUTEX_TID_MASK);
  }
  if (((kind & protect) != 0 ? lock & ~ceiling : lock) != waited_for) return std::nullopt;
  return owner;
}

}  // namespace

std::optional<NativeLock> mutex_at(const attach::FutexWait& futex) {
  // PTHREAD_MUTEX_KIND_MASK_NP, robust, inherit, protect, shared, elision and no elision.
  constexpr std::int32_t known_kinds = 0x3ff;
  // Who holds it and who waits for a condition with it. A stdio stream's _IO_lock_t has the upper half of a
  // pointer there.
  constexpr std::int32_t most_users = 0x4000;
  constexpr std::int32_t most_tids = 1 << 22;  // PID_MAX_LIMIT
  const auto lock = word_at(futex, 0), owner = word_at(futex, 8), users = word_at(futex, 12),
             kind = word_at(futex, 16);
  if (!lock || !owner || !users || !kind) return std::nullopt;
  if (*users <= 0 || *users > most_users || *kind < 0 || (*kind & ~known_kinds) != 0) return std::nullopt;
  const std::optional<std::int32_t> holder = holder_of(*lock, *owner, *kind);
  if (!holder || *holder <= 0 || *holder > most_tids) return std::nullopt;
  return NativeLock{futex.word, *holder};
}

std::optional<NativeLock> rwlock_at(const attach::FutexWait& futex) {
  // Which of the two words it is, is told by the fields behind: after writers_futex come two of padding, then
  // the writer; a tid or 0, like the one before it never is by chance.
  for (const std::int64_t into : {8, 12}) {
    const auto readers = word_at(futex, -into), writer = word_at(futex, 24 - into),
               shared = word_at(futex, 28 - into);
    if (!readers || !writer || !shared || *writer < 0 || (*shared != 0 && *shared != 1)) continue;
    if (*writer == 0 && *readers == 0) continue;
    return NativeLock{futex.word - static_cast<std::uint64_t>(into), *writer};
  }
  return std::nullopt;
}

}  // namespace pythreads::report
