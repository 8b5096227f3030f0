// Which threads moved between two looks at one process, and in how many looks a thread has stood still.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "attach/thread_state.h"
#include "report/analysis/findings.h"
#include "report/document.h"
#include "report/snapshot.h"

namespace pythreads::cli {

// What of a thread tells whether it ran: of looks that count context switches.
struct RunCounts {
  std::optional<std::uint64_t> switches, cpu_ms;
};

inline RunCounts run_counts(const attach::ThreadState& thread) {
  return {thread.switches, thread.cpu_ms};
}

// It was not on a processor in between, but for the stop itself. What can't be told is no standing still.
bool is_unmoved(const RunCounts& before, const RunCounts& now);

// Over the looks at one process, in their order: a thread stands where it stood when it did not run in
// between and its Python frames and its wait are as they were.
class Standing {
 public:
  // `findings` are those of `look`.
  void count(const report::Snapshot& look, const report::ProcessFindings& findings);

  // Fills in `unmoved_looks`, of the look that was counted last.
  void tell(report::document::Process& process) const;

 private:
  struct Place {
    RunCounts ran;
    std::vector<std::tuple<attach::Address, attach::Address, int>> frames;  // frame, code, line
    std::string wait_kind;
    attach::Address waited_for;
    report::document::Number looks = 1;
  };

  std::unordered_map<pid_t, Place> places_;  // of the last look, by tid
};

}  // namespace pythreads::cli
