#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "cli/capture.h"
#include "cli/check_judgement.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/rendering.h"
#include "cli/watchdog.h"
#include "report/analysis/analyse.h"
#include "report/compose.h"

namespace pythreads::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks, in slices: where the whole machine stood still (a paused guest, a starved processor),
// one slice ends at once and not all of the second in which the target could have moved.
constexpr std::chrono::milliseconds kSlice{50};
constexpr int kSlicesBetweenLooks = 20;
constexpr std::chrono::seconds kGrace{2};

// The looks at one process, and what came of them.
struct Checked {
  explicit Checked(pid_t number) : pid(number), target(number) {}

  pid_t pid;
  OpenedTarget target;
  std::vector<std::unique_ptr<report::Snapshot>> snapshots;
  std::vector<std::unique_ptr<report::Findings>> findings;
  bool failed = false;
  CheckLine line;

  std::vector<CheckLook> looks() const {
    std::vector<CheckLook> result;
    for (std::size_t i = 0; i < snapshots.size(); ++i)
      result.push_back({snapshots[i].get(), findings[i].get()});
    return result;
  }
};

class Check {
 public:
  explicit Check(const Options& options) : options_(options), began_(Clock::now()) {}

  ExitCode run() {
    for (const pid_t pid : options_.pids) {
      look_at(processes_.emplace_back(pid));
    }
    bool again = false;
    for (Checked& each : processes_) {
      if (each.failed || !needs_another_look(each.looks().back())) continue;
      again = true;
      each.target.count_switches(*each.snapshots.back());  // what the second look is compared with
    }
    if (again) progress_.tell("looking again after a second");
    for (int i = 0; again && i < kSlicesBetweenLooks; ++i) std::this_thread::sleep_for(kSlice);
    for (Checked& each : processes_) {
      if (each.failed) continue;
      if (needs_another_look(each.looks().back())) look_at(each);
      if (!each.failed) each.line = judge_check(each.looks());
    }
    return print();
  }

 private:
  void look_at(Checked& checked) {
    progress_.tell("looking at process " + std::to_string(checked.pid));
    const Clock::time_point deadline = Clock::now() + options_.deadline;
    auto looked = [&] {
      const Watchdog watchdog(
          deadline + kGrace,
          [this, pid = checked.pid] {
            progress_.hide();
            const CheckLine late = failed_check(pid, "it could not be read before the deadline");
            static_cast<void>(write_standard_output(late.text + "\n"));
          },
          options_.fail_on == FailOn::unknown ? ExitCode::check_unknown : ExitCode::done);
      return checked.target.look(options_, deadline);
    }();
    if (!looked) {
      checked.failed = true;
      const attach::Error& error = looked.error();
      checked.line = failed_check(
          checked.pid, error.hint.empty() ? error.message : error.message + " (" + error.hint + ")");
      failures_.push_back(as_failure(checked.pid, looked.error()));
      return;
    }
    checked.snapshots.push_back(std::make_unique<report::Snapshot>(std::move(looked->snapshot)));
    const report::Snapshot& snapshot = *checked.snapshots.back();
    checked.findings.push_back(std::make_unique<report::Findings>(report::analyse(std::span(&snapshot, 1))));
  }

  ExitCode print() {
    progress_.hide();
    std::vector<CheckLine> lines;
    std::string text;
    for (const Checked& each : processes_) {
      lines.push_back(each.line);
      text += each.line.text + '\n';
    }
    const attach::Result<void> printed =
        options_.format == Format::json ? print_document(document(), options_) : print_lines(text, options_);
    if (!printed) {
      print_error(printed.error());
      return ExitCode::check_unknown;
    }
    return static_cast<ExitCode>(worst_of(lines, options_.fail_on));
  }

  // The last look at each process, and what the looks before it said.
  report::Document document() const {
    std::vector<report::Snapshot> last;
    std::size_t samples = 1;
    for (const Checked& each : processes_) {
      if (each.snapshots.empty()) continue;
      last.push_back(*each.snapshots.back());
      samples = std::max(samples, each.snapshots.size());
    }
    report::DocumentSource source;
    source.tool_version = PYTHREADS_VERSION;
    source.host = attach::read_host();
    source.captured_at = std::chrono::system_clock::now();
    source.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
    source.options = options_.given;
    source.errors = failures_;
    report::Document document = report::compose(last, report::analyse(last), source);
    document.source.samples = static_cast<report::document::Number>(samples);
    return document;
  }

  const Options& options_;
  const Clock::time_point began_;
  Progress progress_;
  std::vector<Checked> processes_;
  std::vector<report::document::Failure> failures_;
};

}  // namespace

ExitCode run_check(const Options& options) {
  return Check(options).run();
}

}  // namespace pythreads::cli
