#include "cli/capture.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "attach/modules.h"
#include "attach/read_apart.h"
#include "cli/facts_read.h"
#include "cli/meant_process.h"
#include "cli/packed_facts.h"
#include "pyframes/python_reader.h"
#include "pyframes/redaction.h"
#include "unwinder/walk.h"

namespace pythreads::cli {
namespace {

// A process may have thousands of native threads that sleep on conditions of their own.
constexpr std::size_t most_needed_stacks = 1000;
// What reads apart stops by itself at the deadline, between two stacks; so long it may take for the last of
// them. Less than the watchdog's.
constexpr std::chrono::seconds reader_grace{1};
constexpr const char* kDeadlineGap = "the deadline passed before this was read";

bool passed(Deadline deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

// A process that ended under us is told apart from one that is not Python.
attach::Error no_runtime(attach::Error error, const attach::Process& process, Deadline deadline) {
  const std::string name = "process " + std::to_string(process.pid);
  char link[1];
  if (::readlink(("/proc/" + std::to_string(process.pid) + "/exe").c_str(), link, sizeof link) < 0) {
    return {attach::ErrorCode::process_ended, name + " has ended", ""};
  }
  if (error.code == attach::ErrorCode::not_python)
    error = point_to_python(std::move(error), process.pid, deadline);
  return std::move(error).within(process.executable.empty() ? name : name + " (" + process.executable + ")");
}

// Whose native stack says what nothing else does: a sleeper on a word that is no Python lock's (a native
// mutex, a condition variable), and a GIL's holder that sleeps inside a call.
class NeedsNativeStack {
 public:
  explicit NeedsNativeStack(const pyframes::PyRuntimeState& runtime) {
    for (const pyframes::PyInterpreter& interpreter : runtime.interpreters) {
      if (interpreter.gil && interpreter.gil->locked) holders_.insert(interpreter.gil->holder_tid);
      for (const pyframes::PyThread& thread : interpreter.threads) {
        const bool lock = thread.lock_wait && !is_c_lock(runtime, thread.lock_wait->object);
        if (thread.tid != 0 && (lock || thread.waits_for_gil)) explained_.insert(thread.tid);
      }
    }
  }

  bool operator()(const attach::ThreadState& thread) const {
    if (!thread.kernel_wait) return false;
    if (holders_.contains(thread.tid)) return true;
    return thread.futex.has_value() && !explained_.contains(thread.tid);
  }

 private:
  // Its C function is the better half of its name.
  static bool is_c_lock(const pyframes::PyRuntimeState& runtime, attach::Address object) {
    const pyframes::PySyncObject* found = pyframes::find_sync_object(runtime, object);
    return found == nullptr || found->kind == pyframes::PySyncKind::c_object ||
           found->kind == pyframes::PySyncKind::pymutex;
  }

  std::unordered_set<pid_t> holders_, explained_;
};

unwinder::Detail detail_of(bool all_stacks) {
  return all_stacks ? unwinder::Detail::names_and_lines : unwinder::Detail::names;
}

// What of the modules an unwinder was made from: the same at another look, it is still right.
bool same_modules(const std::vector<attach::Module>& a, const std::vector<attach::Module>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const attach::Module& one, const attach::Module& other) {
        return one.range == other.range && one.bias == other.bias && one.path == other.path &&
               one.build_id == other.build_id && one.deleted == other.deleted &&
               one.first_mapping.inode == other.first_mapping.inode &&
               one.first_mapping.device == other.first_mapping.device && one.elf_header == other.elf_header;
      });
}

std::vector<attach::Range> executable_ranges(const std::vector<attach::Mapping>& mappings) {
  std::vector<attach::Range> ranges;
  for (const attach::Mapping& mapping : mappings) {
    if (mapping.executable) ranges.push_back(mapping.range);
  }
  return ranges;
}

}  // namespace

struct OpenedTarget::Kept {
  explicit Kept(pid_t number) : pid(number) {}

  pid_t pid;
  bool looked = false;
  std::optional<attach::Attachment> attachment;
  attach::ReadingApart apart;

  // What holds as long as the same modules are mapped.
  std::optional<pyframes::Runtime> runtime;
  std::vector<attach::Module> runtime_modules;
  std::optional<unwinder::Unwinder> unwinder;
  std::vector<attach::Module> unwinder_modules;
  std::vector<attach::Range> unwinder_code;

  attach::Result<void> open_or_refresh(Deadline deadline);
  unwinder::Unwinder& current_unwinder(attach::Target& target);
  void walk_native(FactsRead& facts, bool all, Deadline deadline);
  FactsRead read_on(const pyframes::ReadOptions& read, bool all_stacks, Deadline deadline);
  void keep_names(const FactsRead& facts, bool all_stacks);
};

attach::Result<void> OpenedTarget::Kept::open_or_refresh(Deadline deadline) {
  if (!attachment) {
    attach::Result<attach::Attachment> prepared = attach::Attachment::prepare(pid);
    if (!prepared) return point_to_inner(std::move(prepared).error(), pid);
    attachment.emplace(std::move(*prepared));
  } else if (attach::Result<void> done = attachment->refresh(); !done) {
    return done;
  }
  attach::Target& target = attachment->target();
  if (runtime && same_modules(runtime_modules, target.modules)) return {};
  runtime.reset();
  attach::Result<pyframes::Runtime> found = pyframes::find_runtime(target);
  if (!found) return no_runtime(std::move(found).error(), target.process, deadline);
  runtime.emplace(std::move(*found));
  runtime_modules = target.modules;
  return {};
}

// Its names and rows are of addresses: of the same modules, and the same code outside of them.
unwinder::Unwinder& OpenedTarget::Kept::current_unwinder(attach::Target& target) {
  std::vector<attach::Range> code = executable_ranges(target.mappings);
  if (!unwinder || code != unwinder_code || !same_modules(unwinder_modules, target.modules)) {
    unwinder.emplace(target.modules, *target.files, target.mappings);
    unwinder_modules = target.modules;
    unwinder_code = std::move(code);
  }
  unwinder->use_files(*target.files);
  return *unwinder;
}

// Without --native only those that the findings need, so that these depend on no display option.
void OpenedTarget::Kept::walk_native(FactsRead& facts, bool all, Deadline deadline) {
  attach::Target& target = attachment->target();
  unwinder::Unwinder& walker = current_unwinder(target);
  const NeedsNativeStack is_needed(facts.runtime);
  std::vector<unwinder::NativeStack*> walked;
  std::size_t left = most_needed_stacks;
  for (std::size_t i = 0; i < target.threads.size(); ++i) {
    const attach::ThreadState& thread = target.threads[i];
    WalkedStack& stack = facts.stacks[i];
    if (!all && (left == 0 || !is_needed(thread))) continue;
    if (!thread.registers) {
      stack.native.gap = thread.gap.empty() ? "its registers were not read" : thread.gap;
      continue;
    }
    if (passed(deadline)) {
      facts.deadline_passed = true;
      stack.native.gap = kDeadlineGap;
      continue;
    }
    stack.native = walker.walk(*thread.registers, *target.memory, *target.lasting);
    stack.walked = true;
    walked.push_back(&stack.native);
    if (!all) --left;
  }
  walker.symbolize(walked, detail_of(all));
}

// What a process of its own has found out goes with it; the next one begins with what it told.
void OpenedTarget::Kept::keep_names(const FactsRead& facts, bool all_stacks) {
  std::vector<const unwinder::NativeStack*> walked;
  for (const WalkedStack& stack : facts.stacks) {
    if (stack.walked) walked.push_back(&stack.native);
  }
  if (!walked.empty()) current_unwinder(attachment->target()).learn(walked, detail_of(all_stacks));
}

// All that is read after the release, and decoded.
FactsRead OpenedTarget::Kept::read_on(const pyframes::ReadOptions& read, bool all_stacks, Deadline deadline) {
  attach::Target& target = attachment->target();
  FactsRead facts;
  facts.stacks.resize(target.threads.size());
  facts.runtime = pyframes::read_python(*runtime, read, target);
  walk_native(facts, all_stacks, deadline);
  return facts;
}

OpenedTarget::OpenedTarget(pid_t pid) : kept_(std::make_unique<Kept>(pid)) {}
OpenedTarget::OpenedTarget(OpenedTarget&&) noexcept = default;
OpenedTarget& OpenedTarget::operator=(OpenedTarget&&) noexcept = default;
OpenedTarget::~OpenedTarget() = default;

pid_t OpenedTarget::pid() const {
  return kept_->pid;
}

void OpenedTarget::count_switches(report::Snapshot& last) const {
  for (report::SnapshotThread& thread : last.threads) kept_->attachment->count_switches(thread.os);
}

void OpenedTarget::close() {
  kept_->unwinder.reset();
  kept_->attachment.reset();
}

attach::Result<Capture> OpenedTarget::look(const Options& options, Deadline deadline) {
  if (attach::Result<void> done = kept_->open_or_refresh(deadline); !done) return std::move(done).error();
  attach::Target& target = kept_->attachment->target();
  const pyframes::Runtime* runtime = &*kept_->runtime;

  const pyframes::ReadOptions read{.locals = options.locals, .redact = options.redact};
  const attach::HoldOptions hold{.stop = options.stop,
                                 .pause_budget = options.pause_budget,
                                 .copy_stacks = true,
                                 .count_switches = kept_->looked || options.samples > 1};
  std::shared_ptr<pyframes::Rehearsal> rehearsal;
  attach::Result<attach::StopReport> stop = kept_->attachment->hold(
      hold, [&](attach::Target& held) { pyframes::fetch_python(*runtime, read, held, rehearsal.get()); },
      [&](attach::Target& running) { rehearsal = pyframes::rehearse_python(*runtime, read, running); });
  if (!stop) return std::move(stop).error();
  rehearsal.reset();
  kept_->looked = true;

  FactsRead facts;
  if (options.sandbox) {
    const attach::Result<std::string> bytes = kept_->apart.read(
        target, deadline + reader_grace,
        [&](attach::Target&) { return pack(kept_->read_on(read, options.native, deadline)); });
    if (!bytes) return bytes.error();
    attach::Result<FactsRead> unpacked = unpack(*bytes, target.threads.size());
    if (!unpacked) return std::move(unpacked).error();
    facts = *std::move(unpacked);
    if (options.samples > 1) kept_->keep_names(facts, options.native);
  } else {
    facts = kept_->read_on(read, options.native, deadline);
  }

  Capture result;
  result.deadline_passed = facts.deadline_passed;
  report::Snapshot& snapshot = result.snapshot;
  snapshot.runtime = std::move(facts.runtime);
  snapshot.process = target.process;
  if (options.redact) snapshot.process.command = pyframes::redact_command(target.process.command);
  snapshot.captured_at = stop->captured_at;
  snapshot.stopped = stop->stopped;
  snapshot.pause_ms = stop->pause_ms;
  snapshot.gaps = stop->gaps;
  for (const attach::Disturbance& call : stop->disturbed) {
    snapshot.disturbed.push_back({call.tid, call.syscall, call.effect});
  }
  snapshot.threads.reserve(target.threads.size());
  for (std::size_t i = 0; i < target.threads.size(); ++i) {
    WalkedStack& stack = facts.stacks[i];
    snapshot.threads.push_back(
        {.os = target.threads[i], .native = std::move(stack.native), .native_walked = stack.walked});
  }
  return result;
}

}  // namespace pythreads::cli
