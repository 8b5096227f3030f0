// The judgement: causes from cycles, from owners that are gone and from holders that sleep; then one verdict.
// A deadlock is claimed only where every link is certain or inferred and none has a time limit; anything less
// is possible, and what is not known makes `unknown`, never `waiting`.
#pragma once

#include <span>
#include <vector>

#include "report/analysis/findings.h"
#include "report/analysis/joined_threads.h"

namespace pythreads::report {

// What one process gives to the judgement; all of the same process.
struct JudgedProcess {
  const Snapshot* snapshot = nullptr;
  std::span<const JoinedThread> threads;
  ProcessFindings* findings = nullptr;  // with threads and resources; gets verdict, summary, fingerprint
};

// Needs findings.edges; fills cycles, causes, and verdict, summary and fingerprint of the whole and of each
// process.
void judge(std::span<const JudgedProcess> processes, Findings& findings);

}  // namespace pythreads::report
