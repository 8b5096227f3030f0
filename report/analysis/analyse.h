// From facts to meaning: classify each thread's wait, join waiters and owners by address, find cycles, judge.
// Touches no target. With several snapshots the graph spans the processes.
#pragma once

#include <span>

#include "report/analysis/findings.h"
#include "report/snapshot.h"

namespace pythreads::report {

Findings analyse(std::span<const Snapshot> snapshots);

}  // namespace pythreads::report
