// What there is to know of the futexes that a target's threads sleep on: the bytes around each word, when the
// wait ends by itself, and in which file the word lies.
//
// The bytes around are read where the C library is glibc (c_library.h), for nobody reads those of another.
// glibc's objects have their state beside the word: pthread_mutex_t {lock, count, owner, nusers, kind},
// pthread_rwlock_t {readers, writers, wrphase_futex, writers_futex, …, cur_writer}; which object it is, is
// for analysis to say. FUTEX_WAIT_BITSET, FUTEX_LOCK_PI and FUTEX_LOCK_PI2 have an absolute time limit,
// FUTEX_WAIT a relative one, of which nothing tells how much is left. futex(2); glibc
// sysdeps/nptl/futex-internal.h, sysdeps/nptl/bits/struct_mutex.h and struct_rwlock.h.
#pragma once

#include <chrono>

#include "attach/target.h"

namespace pythreads::attach {

// The clocks of this machine at the stop, since their own epochs.
struct StopClocks {
  std::chrono::nanoseconds realtime{0};
  std::chrono::nanoseconds monotonic{0};
};
StopClocks read_clocks();

// While the target is held: touches what the next one reads.
void fetch_futexes(Target& target);

// ThreadState::futex of every thread whose kernel_wait is a futex wait, from `target.memory` alone. `now` is
// when it was held.
void read_futexes(Target& target, const StopClocks& now);

}  // namespace pythreads::attach
