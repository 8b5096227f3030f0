// What runs in the middle of something else on a thread's stack, between the place where it waits and the
// place where it took what is waited for: a finalizer, a signal handler.
#pragma once

#include <optional>
#include <string>

#include "report/analysis/thread_index.h"

namespace pythreads::report {

struct Interruption {
  pyframes::PyTrigger trigger = pyframes::PyTrigger::none;
  const pyframes::PyFrame* began = nullptr;  // the first frame of what runs in the middle
  const pyframes::PyFrame* interrupted =
      nullptr;  // in the middle of which it runs; null: of nothing of Python
};

// The outermost on the way from the wait to the frame that took `resource`. None: nothing was interrupted.
std::optional<Interruption> interruption(const ThreadIndex& index, Node node, const Resource* resource);

// "the finalizer __del__ (cache.py:7) ran in the middle of put at cache.py:20"
std::string words(const Interruption& interruption);

}  // namespace pythreads::report
