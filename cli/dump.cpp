#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "cli/capture.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/left_to_exit.h"
#include "cli/rendering.h"
#include "cli/watchdog.h"
#include "report/analysis/analyse.h"
#include "report/compose.h"

namespace pythreads::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A look that goes on this long after its deadline hangs in the kernel; what is left to do by then takes
// milliseconds.
constexpr std::chrono::seconds kGrace{2};

attach::Error too_late(pid_t pid) {
  return {attach::ErrorCode::deadline_passed,
          "process " + std::to_string(pid) + " could not be read before the deadline",
          "--deadline gives it longer, --no-stop does not wait for its threads"};
}

class Dump {
 public:
  explicit Dump(const Options& options) : options_(options), began_(Clock::now()) {}

  ExitCode run() {
    for (const pid_t pid : options_.pids) look_at(pid);
    return print();
  }

 private:
  void look_at(pid_t pid) {
    const Clock::time_point deadline = Clock::now() + options_.deadline;
    auto looked = [&] {
      // It may fail and print while this thread hangs in `capture`; nothing else is touched by both.
      const Watchdog watchdog(deadline + kGrace, [this, pid] {
        fail(pid, too_late(pid));
        static_cast<void>(print());
      });
      return capture(pid, options_, deadline);
    }();
    if (!looked) return fail(pid, looked.error());
    if (looked->deadline_passed) fail(pid, too_late(pid));
    snapshots_->push_back(std::move(looked->snapshot));
  }

  void fail(pid_t pid, const attach::Error& error) {
    print_error(error);
    failures_.push_back(as_failure(pid, error));
    if (code_ == ExitCode::done) code_ = exit_code(error.code);
  }

  ExitCode print() {
    // Text has nothing to say where nothing was read; JSON is an object even then.
    if (snapshots_->empty() && options_.format != Format::json) return code_;
    report::DocumentSource source;
    source.tool_version = PYTHREADS_VERSION;
    source.host = attach::read_host();
    source.captured_at = std::chrono::system_clock::now();
    source.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
    source.options = options_.given;
    source.native = options_.native;
    source.locals = options_.locals;
    source.errors = failures_;
    LeftToExit<report::Findings> findings(report::analyse(*snapshots_));
    LeftToExit<report::Document> document(report::compose(*snapshots_, *findings, source));
    const attach::Result<void> printed = print_document(*document, options_);
    if (!printed) {
      print_error(printed.error());
      return exit_code(printed.error().code);
    }
    return code_;
  }

  const Options& options_;
  const Clock::time_point began_;
  LeftToExit<std::vector<report::Snapshot>> snapshots_;
  std::vector<report::document::Failure> failures_;
  ExitCode code_ = ExitCode::done;  // of the first failure
};

}  // namespace

ExitCode run_dump(const Options& options) {
  return Dump(options).run();
}

}  // namespace pythreads::cli
