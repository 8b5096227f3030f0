// Whose C library a process has, as far as its locks are concerned: what stands beside a futex word means
// what glibc's headers say only where it is glibc. musl's semaphores, mutexes and conditions are other
// structs whose words look like glibc's by chance (its sem_t has -1 in the word, its condition's barrier a
// 2).
//
// Told by glibc's struct pthread at a thread's fs_base: its own address at 0 and at 16, the thread's tid at
// 720 (2.31 to 2.43; musl has a list link at 16), else by the name of the library that is mapped. Sources:
// glibc sysdeps/x86_64/nptl/tls.h (tcbhead_t), nptl/descr.h; musl src/internal/pthread_impl.h (struct
// pthread).
#pragma once

#include <vector>

#include "attach/target.h"

namespace pythreads::attach {

// What `is_glibc` will read.
void add_thread_heads(const Target& target, std::vector<Range>& wave);

// False where it is another or nothing tells.
bool is_glibc(const Target& target);

}  // namespace pythreads::attach
