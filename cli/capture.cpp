#include "cli/capture.h"

#include <unistd.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "pyframes/python_reader.h"
#include "pyframes/redaction.h"
#include "unwinder/walk.h"

namespace pythreads::cli {
namespace {

constexpr const char* kDeadlineGap = "the deadline passed before this was read";

bool passed(Deadline deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

// A process that ended under us is told apart from one that is not Python.
attach::Error no_runtime(attach::Error error, const attach::Process& process) {
  const std::string name = "process " + std::to_string(process.pid);
  char link[1];
  if (::readlink(("/proc/" + std::to_string(process.pid) + "/exe").c_str(), link, sizeof link) < 0) {
    return {attach::ErrorCode::process_ended, name + " has ended", ""};
  }
  return std::move(error).within(process.executable.empty() ? name : name + " (" + process.executable + ")");
}

void walk_native(report::Snapshot& snapshot, attach::Target& target, bool& deadline_passed,
                 Deadline deadline) {
  unwinder::Unwinder unwinder(target.modules, *target.files, target.mappings);
  std::vector<unwinder::NativeStack*> walked;
  for (report::SnapshotThread& thread : snapshot.threads) {
    if (!thread.os.registers) {
      thread.native.gap = thread.os.gap.empty() ? "its registers were not read" : thread.os.gap;
      continue;
    }
    if (passed(deadline)) {
      deadline_passed = true;
      thread.native.gap = kDeadlineGap;
      continue;
    }
    thread.native = unwinder.walk(*thread.os.registers, *target.memory, *target.lasting);
    thread.native_walked = true;
    walked.push_back(&thread.native);
  }
  unwinder.symbolize(walked);
}

}  // namespace

attach::Result<Capture> capture(pid_t pid, const Options& options, Deadline deadline) {
  attach::Result<attach::Attachment> attachment = attach::Attachment::prepare(pid);
  if (!attachment) return std::move(attachment).error();
  attach::Target& target = attachment->target();

  attach::Result<pyframes::Runtime> runtime = pyframes::find_runtime(target);
  if (!runtime) return no_runtime(std::move(runtime).error(), target.process);

  const pyframes::ReadOptions read{.locals = options.locals, .redact = options.redact};
  const attach::HoldOptions hold{
      .stop = options.stop, .pause_budget = options.pause_budget, .copy_stacks = true};
  attach::Result<attach::StopReport> stop =
      attachment->hold(hold, [&](attach::Target& held) { pyframes::fetch_python(*runtime, read, held); });
  if (!stop) return std::move(stop).error();

  Capture result;
  report::Snapshot& snapshot = result.snapshot;
  snapshot.runtime = pyframes::read_python(*runtime, read, target);
  snapshot.process = target.process;
  if (options.redact) snapshot.process.command = pyframes::redact_command(target.process.command);
  snapshot.captured_at = stop->captured_at;
  snapshot.stopped = stop->stopped;
  snapshot.pause_ms = stop->pause_ms;
  snapshot.gaps = stop->gaps;
  for (const attach::Disturbance& call : stop->disturbed) {
    snapshot.disturbed.push_back({call.tid, call.syscall, call.effect});
  }
  for (const attach::ThreadState& thread : target.threads) {
    snapshot.threads.push_back({.os = thread, .native = {}});
  }
  if (options.native) walk_native(snapshot, target, result.deadline_passed, deadline);
  return result;
}

}  // namespace pythreads::cli
