// glibc's mutexes and reader-writer locks, by the words around the futex that a thread sleeps on. They have
// no name and no type; their state tells what they are, and of a mutex exactly who has it.
//
// pthread_mutex_t: {lock, count, owner, nusers, kind}; a waiter has set `lock` to 2 and sleeps on it, `owner`
// is the tid in the target's own pid namespace. Of a robust or a priority-inheriting one `lock` itself is the
// tid, with FUTEX_WAITERS (futex(2)). pthread_rwlock_t: {readers, writers, wrphase_futex,
// writers_futex, pad, pad, cur_writer}; readers sleep on wrphase_futex, writers on either. Sources: glibc
// sysdeps/nptl/bits/struct_mutex.h, struct_rwlock.h, nptl/pthreadP.h, nptl/pthread_mutex_lock.c,
// nptl/pthread_rwlock_common.c, from 2.31 to 2.43.
#pragma once

#include <sys/types.h>

#include <optional>

#include "attach/thread_state.h"

namespace pythreads::report {

struct NativeLock {
  attach::Address address;
  pid_t owner = 0;  // as the target's gettid() says; 0: nobody, or readers
};

// The word is the lock of a mutex that is locked and waited for.
std::optional<NativeLock> mutex_at(const attach::FutexWait& futex);

// The same for a thread that is known to wait in one of pthread_rwlock's functions.
std::optional<NativeLock> rwlock_at(const attach::FutexWait& futex);

}  // namespace pythreads::report
