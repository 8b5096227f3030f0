// Who owns each resource of a process: joined by address with what the threads' own frames say, and with what
// fields of the object say. How an owner is known is a table of rules here, each with its certainty:
//   an open block, a critical section, the thread that is joined, the worker that runs a future   as it says
//   an owner field that the thread's own frames bear out                                          certain
//   an owner field alone: idents are pthread_self() and are used again                            recorded
// Where two threads seem to hold what has one holder, neither is believed.
#pragma once

#include <span>

#include "report/analysis/findings.h"
#include "report/analysis/joined_threads.h"
#include "report/analysis/resource_table.h"

namespace pythreads::report {

// Fills ThreadFinding::holds, and owner, owner_state and candidates of each resource. REQUIRES: each
// thread's wait and its resource.
void find_owners(const Snapshot& snapshot, std::span<const JoinedThread> threads, ResourceTable& resources,
                 ProcessFindings& findings);

}  // namespace pythreads::report
