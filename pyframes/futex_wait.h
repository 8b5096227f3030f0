// The futex word that a thread sleeps on, told from the system call that it is inside of.
//
// Only the waits: FUTEX_WAIT and FUTEX_WAIT_BITSET, which glibc's semaphores, mutexes and condition variables
// use (glibc sysdeps/nptl/futex-internal.h), and FUTEX_LOCK_PI. The word's value is not asked: a thread that
// was woken and has not run yet is still inside the call. futex(2).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>

#include <cstdint>
#include <optional>

#include "attach/address.h"
#include "attach/thread_state.h"

namespace pythreads::pyframes {

inline std::optional<attach::Address> futex_word(const attach::ThreadState& thread) {
  if (!thread.kernel_wait || thread.kernel_wait->number != SYS_futex) return std::nullopt;
  const auto operation = static_cast<int>(thread.kernel_wait->arguments[1]) & FUTEX_CMD_MASK;
  if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET && operation != FUTEX_LOCK_PI)
    return std::nullopt;
  return attach::Address(thread.kernel_wait->arguments[0]);
}

}  // namespace pythreads::pyframes
