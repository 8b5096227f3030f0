// sizeof(struct pthread) of the target's C library, which pthread_self() is counted with where the thread
// pointer is the struct's end (attach/architecture.h). glibc says it to debuggers, in a variable that is
// exported for libthread_db; it differs between releases. glibc nptl_db/db_info.c, nptl_db/structs.def.
#pragma once

#include <cstdint>
#include <vector>

#include "attach/memory.h"
#include "attach/modules.h"
#include "attach/target_files.h"

namespace pythreads::attach {

// 0: not known, for another C library or one whose file can't be read.
std::uint64_t find_pthread_size(const std::vector<Module>& modules, TargetFiles& files, Memory& memory);

}  // namespace pythreads::attach
