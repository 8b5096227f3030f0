// The searches for causes, one for each family. Each adds what it finds to the list, and leaves out what a
// search before it has explained; causes.cpp has their order.
#pragma once

#include "report/analysis/cause_list.h"

namespace pythreads::report {

void find_knot_causes(CauseList& causes);        // cycles, and groups of which nobody gets out
void find_gone_owner_causes(CauseList& causes);  // owner-exited, fork-orphan
void find_gil_causes(CauseList& causes);         // gil-held-in-native, world-held-in-native
void find_loop_causes(CauseList& causes);        // loop-blocked
void find_holder_causes(CauseList& causes);      // contention
void find_exit_causes(CauseList& causes);        // shutdown-blocked
void find_silent_causes(CauseList& causes);      // lost-wakeup, where nobody is left who could wake anybody

}  // namespace pythreads::report
