// What the stop tells about a target's threads, put beside what their files said before it: how each was
// held, its registers, its stack, and the system call that it was in. Called while the target is held:
// nothing here opens or writes anything but our own memory.
#pragma once

#include <cstdint>
#include <vector>

#include "attach/page_cache.h"
#include "attach/stopped_threads.h"
#include "attach/target.h"

namespace pythreads::attach {

// What the holder found becomes part of the threads; those that came since the files were read are added.
void take_stopped(std::vector<StoppedThread>& stopped, Target& target);

// The used part of each stack, at most `stack_bytes` of each, into `pages`, which `target.memory` reads.
void copy_stacks(std::uint64_t stack_bytes, const PageCache& pages, Target& target);

// The same of a running target: of the threads that sleep, as far as their files tell. Of one that waits
// outside nothing is looked for on its stack; what is to be copied at the stop is noted in `pages`.
void copy_sleepers_stacks(std::uint64_t stack_bytes, PageCache& pages, Target& target);

// Which call each thread was in: by its registers where it was held, else as its file said before. Registers
// win where the two disagree: they are of the stop, the file is of some time before. What the stop cut short
// is added to the report.
void decode_waits(Target& target, StopReport& report);

}  // namespace pythreads::attach
