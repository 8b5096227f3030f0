// What a cause is, in one sentence for who is called at night: it names threads, locks, and the source lines
// where each waits and where each took what it holds.
#pragma once

#include <string>

#include "report/analysis/cause_draft.h"
#include "report/analysis/thread_index.h"

namespace pythreads::report {

using CauseSentence = std::string (*)(const ThreadIndex&, const CauseDraft&);

std::string cycle_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string self_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string pool_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string gone_owner_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string holder_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string world_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string loop_sentence(const ThreadIndex& index, const CauseDraft& cause);
std::string exit_sentence(const ThreadIndex& index, const CauseDraft& cause);

}  // namespace pythreads::report
