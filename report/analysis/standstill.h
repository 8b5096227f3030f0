// Whether anything goes on in a process, and whether anything could: what tells a stall from healthy waiting.
#pragma once

#include "report/analysis/thread_index.h"

namespace pythreads::report {

// A thread runs at this moment.
bool anybody_runs(const JudgedProcess& process);

// It waits for what no thread of the process would give it: time, a descriptor, a child.
bool is_outside(const ThreadFinding& thread);

// It sleeps on a lock that is free: whoever released it has woken it, and it goes on by itself. Of a
// Condition's waiter, that is the lock that was made for it alone.
bool is_woken(const JoinedThread& thread);

// Whose coming and going is looked at: the exit does not wait for daemons.
enum class Considered { all, all_but_daemons };

// No thread runs, and none waits for the outside, for a time or for what can't be told: all Python threads
// wait for each other or for work, and nobody is left to bring it (but a signal handler).
bool is_standstill(const JudgedProcess& process, Considered considered = Considered::all);

}  // namespace pythreads::report
