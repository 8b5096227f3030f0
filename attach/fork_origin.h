// Whether a process began with the memory of its parent: it forked and did not exec since. What the other
// threads of the parent held at that moment is then held for ever, for a fork copies locks and not threads.
//
// The kernel puts stack and vDSO at places of its own choice at each exec; a fork keeps them. Where the
// places are not random (personality ADDR_NO_RANDOMIZE, kernel.randomize_va_space 0) they tell nothing, nor
// does a parent that has ended. fork(2), personality(2); fs/binfmt_elf.c at v6.1.
#pragma once

#include <optional>
#include <vector>

#include "attach/mapping.h"
#include "attach/proc_dir.h"

namespace pythreads::attach {

// `dir` and `mappings` are the process's own. Opens files: not to be called while anything is held.
std::optional<pid_t> find_fork_parent(const ProcDir& dir, pid_t parent, const std::vector<Mapping>& mappings);

// The rule itself: both have the stack and the vDSO at the same places.
bool have_same_origin(const std::vector<Mapping>& one, const std::vector<Mapping>& other);

}  // namespace pythreads::attach
