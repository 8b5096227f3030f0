// The end that can't be missed: if the run has not ended some time after its deadline (a read of the target
// that hangs in the kernel), `last_words` is called from a thread of its own and the process exits with its
// code (75). A target that was held is let go by the kernel then.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "cli/exit_code.h"

namespace pythreads::cli {

class Watchdog {
 public:
  Watchdog(std::chrono::steady_clock::time_point at, std::function<void()> last_words,
           ExitCode code = ExitCode::deadline_passed);
  ~Watchdog();  // calls it off
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable called_off_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace pythreads::cli
