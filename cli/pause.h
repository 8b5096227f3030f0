// The time between two looks at a target, which Ctrl-C ends: what was read so far is then still printed.
#pragma once

#include <chrono>

namespace pythreads::cli {

// Sleeps until then. False: SIGINT or SIGTERM came meanwhile. While a target is held these keep their default
// action, for dying is the release that can't hang, so they are caught here and nowhere else. No other thread
// of ours that takes signals may be running.
bool pause_until(std::chrono::steady_clock::time_point until);

}  // namespace pythreads::cli
