// What reading locks adds to the time for which a target is held: holds it with and without them, in turns.
//
//     lock_cost PID ROUNDS
//
// Prints the median held time without locks and with them, in milliseconds, and their ratio.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "attach/attachment.h"
#include "pyframes/python_reader.h"

namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// As `pythreads dump` holds it; below 0 with a message if that failed.
double held_ms(pid_t pid, bool locks) {
  pythreads::attach::Result<pythreads::attach::Attachment> attachment =
      pythreads::attach::Attachment::prepare(pid);
  if (!attachment) {
    std::fprintf(stderr, "lock_cost: %s\n", attachment.error().message.c_str());
    return -1;
  }
  const pythreads::attach::Result<pythreads::pyframes::Runtime> runtime =
      pythreads::pyframes::find_runtime(attachment->target());
  if (!runtime) {
    std::fprintf(stderr, "lock_cost: %s\n", runtime.error().message.c_str());
    return -1;
  }
  const pythreads::pyframes::ReadOptions options{.locks = locks};
  std::shared_ptr<pythreads::pyframes::Rehearsal> rehearsal;
  const pythreads::attach::Result<pythreads::attach::StopReport> stop = attachment->hold(
      {.pause_budget = std::chrono::minutes(10), .copy_stacks = true},
      [&](pythreads::attach::Target& held) {
        pythreads::pyframes::fetch_python(*runtime, options, held, rehearsal.get());
      },
      [&](pythreads::attach::Target& running) {
        rehearsal = pythreads::pyframes::rehearse_python(*runtime, options, running);
      });
  if (!stop || !stop->gaps.empty()) {
    std::fprintf(stderr, "lock_cost: %s\n", stop ? stop->gaps[0].c_str() : stop.error().message.c_str());
    return -1;
  }
  return stop->pause_ms;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: lock_cost PID ROUNDS\n");
    return 64;
  }
  const pid_t pid = std::atoi(arguments[1]);
  std::vector<double> without, with;
  for (int round = std::atoi(arguments[2]); round > 0; --round) {
    for (const bool locks : {false, true}) {
      const double milliseconds = held_ms(pid, locks);
      if (milliseconds < 0) return 1;
      (locks ? with : without).push_back(milliseconds);
    }
  }
  std::printf("%.3f %.3f %.3f\n", median(without), median(with), median(with) / median(without));
  return 0;
}
