#include "report/analysis/causes.h"

#include "report/analysis/cause_searches.h"

namespace pythreads::report {

void find_causes(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings) {
  CauseList causes(processes, index, findings);
  for (const auto search : {find_knot_causes, find_gone_owner_causes, find_gil_causes, find_loop_causes,
                            find_holder_causes, find_exit_causes, find_silent_causes}) {
    search(causes);
  }
  causes.sort();
}

}  // namespace pythreads::report
