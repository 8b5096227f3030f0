#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "cli/capture.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/left_to_exit.h"
#include "cli/movement.h"
#include "cli/output.h"
#include "cli/pause.h"
#include "cli/progress.h"
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

// One process over all looks. After an error it is not looked at again.
struct Watched {
  explicit Watched(pid_t number) : pid(number), target(number) {}

  pid_t pid;
  OpenedTarget target;
  Standing standing;
  bool failed = false;
};

class Dump {
 public:
  explicit Dump(const Options& options) : options_(options), began_(Clock::now()) {
    for (const pid_t pid : options_.pids) {
      if (std::ranges::find(processes_, pid, &Watched::pid) == processes_.end()) processes_.emplace_back(pid);
    }
  }

  ExitCode run() {
    Clock::time_point next = began_;
    for (std::size_t sample = 0; sample < options_.samples && !is_over(); ++sample) {
      if (sample > 0) progress_.tell("waiting for " + look_name(sample));
      if (sample > 0 && !pause_until(next)) break;
      next = Clock::now() + options_.interval;
      look(sample);
    }
    return finish();
  }

 private:
  bool is_sampling() const { return options_.samples > 1; }
  // Text is for whoever watches, and lines of JSON for a program that does. Of the other formats each output
  // is one whole: the last look.
  bool prints_each_look() const {
    return is_sampling() && (options_.format == Format::text || options_.format == Format::ndjson);
  }

  bool is_over() const {
    return (output_ && output_->has_failed()) ||
           std::ranges::all_of(processes_, [](const Watched& each) { return each.failed; });
  }

  std::string look_name(std::size_t sample) const {
    return "look " + std::to_string(sample + 1) + " of " + std::to_string(options_.samples);
  }

  void look(std::size_t sample) {
    for (Watched& each : processes_) {
      if (each.failed) continue;
      progress_.tell((is_sampling() ? look_name(sample) + " at process " : "looking at process ") +
                     std::to_string(each.pid));
      look_at(each);
    }
    take_look();
  }

  void look_at(Watched& watched) {
    const Clock::time_point deadline = Clock::now() + options_.deadline;
    auto looked = [&] {
      // It may fail and print while this thread hangs in `look`; nothing else is touched by both.
      const Watchdog watchdog(deadline + kGrace, [this, pid = watched.pid] {
        fail(pid, too_late(pid));
        take_look();
        static_cast<void>(finish());
      });
      return watched.target.look(options_, deadline);
    }();
    if (!is_sampling()) watched.target.close();
    if (!looked) {
      watched.failed = true;
      return fail(watched.pid, looked.error());
    }
    if (looked->deadline_passed) fail(watched.pid, too_late(watched.pid));
    now_->push_back(std::move(looked->snapshot));
  }

  void fail(pid_t pid, const attach::Error& error) {
    progress_.hide();
    print_error(error);
    failures_.push_back(as_failure(pid, error));
    if (code_ == ExitCode::done) code_ = exit_code(error.code);
  }

  // What was read becomes the last look; where nothing was, the one before stays it.
  void take_look() {
    if (now_->empty()) {
      if (prints_each_look() && options_.format == Format::ndjson) print_failures();
      return;
    }
    std::swap(*snapshots_, *now_);
    now_->clear();
    *findings_ = report::analyse(*snapshots_);
    if (!is_sampling()) return;
    looks_.push_back(report::look_of(*snapshots_, *findings_));
    for (std::size_t i = 0; i < snapshots_->size(); ++i) {
      const report::Snapshot& snapshot = (*snapshots_)[i];
      watched(snapshot.process.pid).standing.count(snapshot, findings_->processes[i]);
    }
    if (prints_each_look()) print_look();
  }

  Watched& watched(pid_t pid) { return *std::ranges::find(processes_, pid, &Watched::pid); }

  report::DocumentSource source() const {
    report::DocumentSource source;
    source.tool_version = PYTHREADS_VERSION;
    source.host = attach::read_host();
    source.captured_at = std::chrono::system_clock::now();
    source.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - began_).count();
    source.options = options_.given;
    source.native = options_.native;
    source.locals = options_.locals;
    source.errors.assign(failures_.begin() + static_cast<std::ptrdiff_t>(failures_told_), failures_.end());
    return source;
  }

  report::Document composed() {
    report::Document document = report::compose(*snapshots_, *findings_, source());
    if (!is_sampling()) return document;
    document.source.samples = static_cast<report::document::Number>(looks_.size());
    for (report::document::Process& process : document.processes) {
      watched(static_cast<pid_t>(process.pid)).standing.tell(process);
    }
    return document;
  }

  void print_look() {
    report::Document document = composed();
    document.looks = {looks_.back()};
    failures_told_ = failures_.size();
    progress_.hide();
    if (!output_) output_.emplace(options_.output);
    if (looks_.size() > 1 && options_.format == Format::text) output_->write("\n");
    write_document(document, options_, *output_);
  }

  // Of a look that found no process any more.
  void print_failures() {
    report::Document document = report::compose({}, report::analyse({}), source());
    document.source.samples = static_cast<report::document::Number>(looks_.size() + 1);
    failures_told_ = failures_.size();
    if (!output_) output_.emplace(options_.output);
    write_document(document, options_, *output_);
  }

  ExitCode finish() {
    progress_.hide();
    attach::Result<void> printed;
    if (prints_each_look()) {
      if (output_) printed = output_->finish();
    } else if (!snapshots_->empty() || options_.format == Format::json || options_.format == Format::ndjson) {
      // Text has nothing to say where nothing was read; JSON is an object even then.
      if (snapshots_->empty()) *findings_ = report::analyse({});
      LeftToExit<report::Document> document(composed());
      document->looks = std::move(looks_);
      printed = print_document(*document, options_);
    }
    if (printed) return code_;
    print_error(printed.error());
    return exit_code(printed.error().code);
  }

  const Options& options_;
  const Clock::time_point began_;
  Progress progress_;
  std::vector<Watched> processes_;
  LeftToExit<std::vector<report::Snapshot>> now_;        // of the look that is being made
  LeftToExit<std::vector<report::Snapshot>> snapshots_;  // of the last one
  LeftToExit<report::Findings> findings_;                // of the last one
  std::vector<report::document::Look> looks_;
  std::vector<report::document::Failure> failures_;
  std::size_t failures_told_ = 0;   // of those, in a look that was printed
  std::optional<Output> output_;    // of text that is printed look by look
  ExitCode code_ = ExitCode::done;  // of the first failure
};

}  // namespace

ExitCode run_dump(const Options& options) {
  return Dump(options).run();
}

}  // namespace pythreads::cli
