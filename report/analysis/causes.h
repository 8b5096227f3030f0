// Why threads don't go on: cycles and knots of the graph, owners that are gone, holders that sleep. Each
// cause has a sentence that names threads, locks and source lines.
#pragma once

#include <span>

#include "report/analysis/findings.h"
#include "report/analysis/thread_index.h"

namespace pythreads::report {

// Fills findings.causes, the gravest first, and findings.cycles. REQUIRES: findings.edges.
void find_causes(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings);

}  // namespace pythreads::report
