#include "attach/attachment.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "attach/foreign_program.h"
#include "attach/fork_origin.h"
#include "attach/frozen_memory.h"
#include "attach/futex_wait.h"
#include "attach/held_threads.h"
#include "attach/holder.h"
#include "attach/kernel_wait.h"
#include "attach/live_files.h"
#include "attach/live_mappings.h"
#include "attach/live_memory.h"
#include "attach/page_cache.h"
#include "attach/permission.h"
#include "attach/proc_dir.h"
#include "attach/proc_parse.h"
#include "attach/pthread_size.h"
#include "attach/restart_check.h"

namespace pythreads::attach {
namespace {

// Of threads in uninterruptible sleep a file is kept open; a thousand of them would be too many.
constexpr std::size_t most_sleepers = 64;

// What a thread's walk needs at the least, made ready in our memory before the stop.
constexpr std::size_t ready_per_thread = 48 * 1024;
constexpr std::size_t ready_at_most = 8 * 1024 * 1024;

// A walk over the running target may go astray: in a dict that is being resized, in a frame that has ended.
// One that doesn't takes a tenth of this.
constexpr std::chrono::milliseconds work_while_running(200);
constexpr std::chrono::microseconds work_while_running_per_thread(200);

constexpr const char* no_stop_gap = "it was not stopped: no registers and no stack";

// What is done with a look: `rehearse` over the running target, `read` while it is held.
struct Readers {
  const std::function<void(Target&)>& read;
  const std::function<void(Target&)>& rehearse;
};

}  // namespace

struct Attachment::State {
  explicit State(ProcDir opened) : dir(std::move(opened)) {}

  ProcDir dir;
  pid_t memory_tid = 0;  // a thread that has the address space: the leader, unless it has ended
  std::shared_ptr<const ScopedFd> mem;
  LiveMappings mappings;
  bool mappings_are_new = false;  // read since the last look
  ScopedFd task;
  ScopedFd stat;
  std::shared_ptr<PageCache> pages;  // of the last stop
  Target target;
  std::uint64_t pthread_size = 0;

  pid_t pid() const { return dir.pid(); }
  std::shared_ptr<LiveMemory> live(LiveMemory::Identity identity) const {
    return std::make_shared<LiveMemory>(memory_tid, mem, identity);
  }

  Result<void> open_all();
  void make_live();
  Result<void> follow_memory();
  Result<void> refresh();
  Result<void> refresh_mappings();
  Result<void> read_threads(bool switches_first = false);
  bool take_mappings(StopReport& report);
  bool compare_mappings(StopReport& report);
  bool knows_stacks() const;
  std::chrono::nanoseconds most_work_while_running() const;
  std::vector<PageCache::Asked> rehearse(const HoldOptions& options,
                                         const std::function<void(Target&)>& rehearse);
  void make_pages(LiveMemory::Identity identity, std::size_t ready_bytes);
  void after_release(bool files_changed, StopReport& report);
  void drop_waits_of_runners();
  Result<StopReport> look_without_stop(const std::function<void(Target&)>& read);
  void tell_what_was_given_up(std::chrono::milliseconds budget, StopReport& report) const;
  Error ended_before() const;
  Result<StopReport> look_at_stop(const HoldOptions& options, const Readers& readers, int& failed);
  Result<StopReport> look(const HoldOptions& options, const Readers& readers);
};

Result<void> Attachment::State::open_all() {
  const std::string& folder = dir.memory_folder();
  memory_tid = pid();
  if (const std::size_t at = folder.find('/'); at != std::string::npos) {
    std::from_chars(folder.data() + at + 1, folder.data() + folder.size(), memory_tid);
  }
  Result<ScopedFd> opened = dir.open_file((folder + "mem").c_str(), O_RDONLY);
  if (!opened) {
    const int error_number = opened.error().code == ErrorCode::process_ended ? ESRCH : EPERM;
    return explain_ptrace_failure(dir, pid(), error_number);
  }
  mem = std::make_shared<const ScopedFd>(std::move(*opened));

  const auto open_into = [this](const std::string& name, int flags, ScopedFd& into) -> Result<void> {
    Result<ScopedFd> file = dir.open_file(name.c_str(), flags);
    if (!file) return std::move(file).error().within("opening " + name);
    into = std::move(*file);
    return {};
  };
  ScopedFd maps;
  if (Result<void> done = open_into(folder + "maps", O_RDONLY, maps); !done) return done;
  mappings = LiveMappings(std::move(maps));
  if (Result<void> done = open_into("task", O_RDONLY | O_DIRECTORY, task); !done) return done;
  return open_into("stat", O_RDONLY, stat);
}

// What reads by memory while nothing is held.
void Attachment::State::make_live() {
  target.memory = std::make_unique<LiveMemory>(memory_tid, mem, LiveMemory::Identity::checked);
  target.lasting = std::make_unique<LiveMemory>(memory_tid, mem, LiveMemory::Identity::checked);
}

// Where the leader has ended, memory is read by another thread's number: when that one ends too, the kernel
// may give the number to anybody.
Result<void> Attachment::State::follow_memory() {
  const auto is_there = [this](pid_t tid) {
    const Result<std::vector<pid_t>> tids = dir.list_threads();
    return tids && std::find(tids->begin(), tids->end(), tid) != tids->end();
  };
  if (memory_tid == pid() || is_there(memory_tid)) return {};
  Result<ProcDir> now = ProcDir::open(pid());
  if (!now) return std::move(now).error();
  Result<Process> process = now->read_process();
  if (!process) return std::move(process).error();
  if (process->start_ticks != target.process.start_ticks) {
    return Error{ErrorCode::process_ended, "process " + std::to_string(pid()) + " has ended", ""};
  }
  dir = std::move(*now);
  target.files = make_target_files(dir);
  return open_all();
}

Result<void> Attachment::State::refresh() {
  const LiveMemory now(memory_tid, mem, LiveMemory::Identity::checked);
  if (!now.still_there()) {
    return Error{
        ErrorCode::process_ended,
        "process " + std::to_string(pid()) + " ended, or executed another program, after the look before",
        ""};
  }
  if (Result<void> done = follow_memory(); !done) return done;
  Result<Process> process = dir.read_process();
  if (!process) return std::move(process).error();
  process->forked_from = target.process.forked_from;  // what was told while that parent lived
  target.process = std::move(*process);
  make_live();
  return refresh_mappings();
}

// The mappings as they are now, and the modules where files came or went.
Result<void> Attachment::State::refresh_mappings() {
  const Result<bool> files_changed = mappings.refresh(dir, target.mappings);
  if (!files_changed) return files_changed.error();
  mappings_are_new = true;
  if (*files_changed) {
    PageCache memory(live(LiveMemory::Identity::checked));
    target.modules = find_modules(target.mappings, memory);
    if (pthread_self_needs_size) pthread_size = find_pthread_size(target.modules, *target.files, memory);
  }
  return {};
}

// `switches_first`: how often a thread had left a processor before its other files were read.
Result<void> Attachment::State::read_threads(bool switches_first) {
  Result<std::vector<pid_t>> tids = dir.list_threads();
  if (!tids) return std::move(tids).error();
  target.threads.clear();
  target.threads.reserve(tids->size() + 64);
  for (const pid_t tid : *tids) {
    ThreadState before;
    before.tid = tid;
    if (switches_first) dir.read_status(before);
    Result<ThreadState> thread = dir.read_thread(tid);
    if (!thread) continue;
    if (switches_first) {
      thread->switches = before.switches;
      thread->seccomp = before.seccomp;
      thread->seccomp_filters = before.seccomp_filters;
    }
    target.threads.push_back(std::move(*thread));
  }
  if (target.threads.empty()) {
    return Error{ErrorCode::process_ended, "process " + std::to_string(pid()) + " has ended", ""};
  }
  return {};
}

// Whether every stack that is to be copied lies in a mapping that was there before the stop.
bool Attachment::State::knows_stacks() const {
  return std::all_of(target.threads.begin(), target.threads.end(), [this](const ThreadState& thread) {
    return !thread.registers || find_mapping(target.mappings, thread.registers->sp()) != nullptr;
  });
}

// A thread has a stack that was not there before. True: files came or went, too.
bool Attachment::State::take_mappings(StopReport& report) {
  const std::vector<Mapping> before = target.mappings;
  const Result<bool> changed = mappings.refresh_held(target.mappings);
  if (!changed) {
    report.gaps.push_back("the mappings could not be compared while the target was held: " +
                          changed.error().message);
  }
  report.mappings_changed = changed ? *changed : changed.error().code == ErrorCode::corrupt;
  return report.mappings_changed && !same_files(before, target.mappings);
}

// True: files came or went. What else changed since is of no use to anybody, and may have been changed after
// the release.
bool Attachment::State::compare_mappings(StopReport& report) {
  std::vector<Mapping> now = target.mappings;
  const Result<bool> changed = mappings.refresh_held(now);
  if (!changed && report.mappings_changed) return false;
  if (!changed) {
    report.gaps.push_back("the mappings could not be compared with those before the stop: " +
                          changed.error().message);
  }
  report.mappings_changed =
      report.mappings_changed || (changed ? *changed : changed.error().code == ErrorCode::corrupt);
  if (!changed || !*changed || same_files(now, target.mappings)) return false;
  target.mappings = std::move(now);
  return true;
}

std::chrono::nanoseconds Attachment::State::most_work_while_running() const {
  return work_while_running + work_while_running_per_thread * target.threads.size();
}

// What the walk will ask for, as far as a walk over the running target tells.
std::vector<PageCache::Asked> Attachment::State::rehearse(const HoldOptions& options,
                                                          const std::function<void(Target&)>& rehearse) {
  if (!rehearse) return {};
  const auto rehearsed =
      std::make_shared<PageCache>(live(LiveMemory::Identity::checked), 0, PageCache::Notes::what_is_asked);
  const auto unnoted = std::make_shared<PageCache>(live(LiveMemory::Identity::checked));
  for (const auto& each : {rehearsed, unnoted}) each->close_after(most_work_while_running());
  target.memory = std::make_unique<FrozenMemory>(rehearsed);
  target.lasting = std::make_unique<FrozenMemory>(unnoted);
  if (options.copy_stacks) copy_sleepers_stacks(options.stack_bytes, *rehearsed, target);
  fetch_futexes(target);
  rehearse(target);
  for (ThreadState& thread : target.threads) thread.stack = {};
  return rehearsed->asked();
}

// A new, open cache; `memory` freezes with it, `lasting` looks behind it from then on.
void Attachment::State::make_pages(LiveMemory::Identity identity, std::size_t ready_bytes) {
  pages = std::make_shared<PageCache>(live(identity), ready_bytes);
  target.memory = std::make_unique<FrozenMemory>(pages);
  target.lasting =
      std::make_unique<FrozenMemory>(pages, std::make_shared<PageCache>(live(LiveMemory::Identity::checked)));
}

// What is told by files of threads that came too late for them, and modules that were mapped meanwhile.
void Attachment::State::after_release(bool files_changed, StopReport& report) {
  for (ThreadState& thread : target.threads) {
    if (thread.state != '?' || !thread.os_name.empty()) continue;
    if (Result<ThreadState> now = dir.read_thread(thread.tid); now) {
      thread.os_name = std::move(now->os_name);
      thread.namespace_tid = now->namespace_tid;
    }
  }
  if (files_changed) target.modules = find_modules(target.mappings, *target.lasting);
  const LiveMemory now(memory_tid, mem, LiveMemory::Identity::checked);
  if (!now.still_there()) {
    report.gaps.push_back("the process ended, or executed another program, after it was released");
  }
}

// One that slept all the time is as it was read. Of another the wait, the frames and the locks are of
// different moments: taken together they could say that it waits for what it has, or holds what it gave back.
// (A context switch is counted when a thread leaves its processor, kernel/sched/core.c, __schedule at v6.1:
// so one that woke up since is known by being awake.)
void Attachment::State::drop_waits_of_runners() {
  for (ThreadState& thread : target.threads) {
    Result<ThreadState> now = dir.read_thread(thread.tid);
    if (now) dir.read_status(*now);
    const bool slept = now && thread.kernel_wait && now->kernel_wait && thread.switches && now->switches &&
                       *thread.switches == *now->switches && thread.sleeping_sp == now->sleeping_sp;
    if (slept) continue;
    thread.kernel_wait.reset();
    thread.sleeping_sp.reset();
    if (thread.gap == no_stop_gap)
      thread.gap = "it was not stopped, and ran while it was read: its frames may be of different moments";
  }
}

// REQUIRES: read_threads(true)
Result<StopReport> Attachment::State::look_without_stop(const std::function<void(Target&)>& read) {
  StopReport report;
  report.captured_at = std::chrono::system_clock::now();
  make_pages(LiveMemory::Identity::checked, 0);
  pages->close_after(most_work_while_running());
  decode_waits(target, report);
  const StopClocks clocks = read_clocks();
  fetch_futexes(target);
  for (ThreadState& thread : target.threads) {
    if (thread.gap.empty()) thread.gap = no_stop_gap;
  }
  read(target);
  pages->close();
  if (pages->is_spent())
    report.gaps.push_back("reading it while it ran led astray, and was ended before everything was read");
  drop_waits_of_runners();
  read_futexes(target, clocks);
  after_release(false, report);
  return report;
}

Result<StopReport> Attachment::State::look(const HoldOptions& options, const Readers& readers) {
  // A process in the middle of execve has only dead threads for a moment, and PTRACE_SEIZE says EPERM to
  // each: what it is, is known a little later.
  for (int again = 0;; ++again) {
    if (!mappings_are_new) {
      if (Result<void> done = refresh_mappings(); !done) return std::move(done).error();
    }
    mappings_are_new = false;
    if (Result<void> done = read_threads(!options.stop); !done) return std::move(done).error();
    if (!options.stop) return look_without_stop(readers.read);
    if (options.count_switches) {
      for (ThreadState& thread : target.threads) dir.read_status(thread);
    }
    RestartCheck restart = check_restart(dir, task.get(), stat.get(), target.threads);
    int failed = 0;
    if (restart.denied) {
      if (Result<void> done = read_threads(true); !done) return std::move(done).error();
    }
    Result<StopReport> report =
        restart.denied ? look_without_stop(readers.read) : look_at_stop(options, readers, failed);
    if (report && !restart.gap.empty()) report->gaps.push_back(std::move(restart.gap));
    if (failed == 0 || failed == EAGAIN) return report;
    const LiveMemory now(memory_tid, mem, LiveMemory::Identity::checked);
    if (!now.still_there()) return ended_before();
    if (again == 1) return explain_ptrace_failure(dir, pid(), failed);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Error Attachment::State::ended_before() const {
  return Error{ErrorCode::process_ended,
               "process " + std::to_string(pid()) + " ended, or executed another program, before it was held",
               ""};
}

void Attachment::State::tell_what_was_given_up(std::chrono::milliseconds budget, StopReport& report) const {
  const std::string spent = "the pause budget of " + std::to_string(budget.count()) + " ms ";
  std::string parts;
  for (const HeldPart part : {HeldPart::locals, HeldPart::names, HeldPart::stacks}) {
    if (!pages->is_given_up(part)) continue;
    parts += (parts.empty() ? "" : ", ") + std::string(spoken_name(part));
  }
  if (!parts.empty()) report.gaps.push_back(spent + "left no time for: " + parts);
  if (report.budget_passed) report.gaps.push_back(spent + "ended the stop before everything was read");
  if (report.pause_ms > static_cast<double>(budget.count())) {
    report.gaps.push_back(spent + "was not kept: to stop " + std::to_string(target.threads.size()) +
                          " threads, to read their locks and to let them go took longer");
  }
}

// `failed`: the errno of PTRACE_SEIZE, when nothing was held.
Result<StopReport> Attachment::State::look_at_stop(const HoldOptions& options, const Readers& readers,
                                                   int& failed) {
  std::vector<ThreadBefore> before;
  before.reserve(target.threads.size());
  std::vector<ScopedFd> sleepers;
  for (const ThreadState& thread : target.threads) {
    before.push_back({.tid = thread.tid, .state = thread.state, .waits_outside = waits_outside(thread)});
    if (thread.state != 'D' || sleepers.size() == most_sleepers) continue;
    Result<ScopedFd> opened =
        dir.open_file(("task/" + std::to_string(thread.tid) + "/stat").c_str(), O_RDONLY);
    if (!opened) continue;
    before.back().stat = opened->get();
    sleepers.push_back(std::move(*opened));
  }

  const std::vector<PageCache::Asked> expected = rehearse(options, readers.rehearse);
  // A thread's stack and what its frames lead to, so that our own page faults come before the stop.
  const std::size_t ready =
      std::min(ready_at_most, std::max<std::size_t>(before.size(), 8) * ready_per_thread);
  make_pages(LiveMemory::Identity::held, expected.empty() ? ready : 0);
  pages->expect(expected);

  StopReport report;
  const std::shared_ptr<PageCache> closing = pages;
  Holder holder(pid(), task.get(), stat.get(), Holder::Bounds{options.stop_bound, options.pause_budget},
                [closing] { closing->close(); });
  failed = holder.stop(std::move(before));
  if (failed != 0) {
    holder.release();
    pages->close();
    return Error{ErrorCode::internal, "no thread could be started to hold the target", ""};
  }
  report.captured_at = std::chrono::system_clock::now();
  const StopClocks clocks = read_clocks();
  const LiveMemory now(memory_tid, mem, LiveMemory::Identity::checked);
  if (!now.still_there()) {
    holder.release();
    return ended_before();
  }
  take_stopped(holder.threads(), target);
  for (ThreadState& thread : target.threads) {
    if (thread.registers) set_pthread_self(*thread.registers, pthread_size);
  }
  report.stopped = true;
  bool files_changed = false;
  pages->must_end_by(holder.reading_ends());
  pages->begin(HeldPart::words);
  if (!knows_stacks()) files_changed = take_mappings(report);
  if (options.copy_stacks) {
    pages->begin(HeldPart::stacks);
    copy_stacks(options.stack_bytes, *pages, target);
    pages->begin(HeldPart::words);
  }
  decode_waits(target, report);
  fetch_futexes(target);
  readers.read(target);
  holder.release();
  read_futexes(target, clocks);

  report.pause_ms = holder.pause().count();
  report.budget_passed = holder.budget_passed();
  if (report.budget_passed) pages->give_up_the_rest();
  if (!holder.gap().empty()) report.gaps.push_back(holder.gap());
  tell_what_was_given_up(options.pause_budget, report);
  files_changed = compare_mappings(report) || files_changed;
  after_release(files_changed, report);
  return report;
}

Attachment::Attachment(std::unique_ptr<State> state) : state_(std::move(state)) {}
Attachment::Attachment(Attachment&&) noexcept = default;
Attachment& Attachment::operator=(Attachment&&) noexcept = default;
Attachment::~Attachment() = default;

Target& Attachment::target() {
  return state_->target;
}
const Target& Attachment::target() const {
  return state_->target;
}

Result<Attachment> Attachment::prepare(pid_t pid) {
  Result<ProcDir> dir = ProcDir::open(pid);
  if (!dir) return std::move(dir).error();
  auto state = std::make_unique<State>(std::move(*dir));
  Result<Process> process = state->dir.read_process();
  if (!process) return std::move(process).error();
  state->target.process = std::move(*process);
  if (state->target.process.state == 'Z' && state->dir.memory_folder().empty()) {
    return explain_ptrace_failure(state->dir, pid, EPERM);
  }
  if (Result<void> done = state->open_all(); !done) return std::move(done).error();
  state->make_live();
  state->target.files = make_target_files(state->dir);
  if (Result<void> done = state->refresh_mappings(); !done) return std::move(done).error();
  if (state->target.mappings.empty()) {
    Result<Process> now = state->dir.read_process();
    if (!now) return std::move(now).error();
    if (now->state == 'Z') return explain_ptrace_failure(state->dir, pid, EPERM);
    // A process gives its memory back some time before it is a zombie.
    const Result<std::string> text = state->dir.read_file("stat", 4096);
    const std::optional<StatLine> stat = text ? parse_stat(*text) : std::nullopt;
    constexpr std::uint64_t kernel_thread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h
    if (!stat || (stat->flags & kernel_thread) == 0) {
      return Error{ErrorCode::process_ended, "process " + std::to_string(pid) + " has ended", ""};
    }
    return Error{ErrorCode::not_python,
                 "process " + std::to_string(pid) + " has no memory of its own: it is a thread of the kernel",
                 ""};
  }
  if (state->target.modules.empty()) {
    if (const auto foreign = find_foreign_architecture(state->target.mappings, *state->target.lasting)) {
      return Error{ErrorCode::unsupported,
                   "process " + std::to_string(pid) + " is a program for " + *foreign +
                       ": this pythreads reads " + std::string(architecture_name) + " only",
                   ""};
    }
  }
  Process& known = state->target.process;
  if (known.parent_pid) {
    known.forked_from = find_fork_parent(state->dir, *known.parent_pid, state->target.mappings);
  }
  return Attachment(std::move(state));
}

void Attachment::count_switches(ThreadState& thread) const {
  state_->dir.read_status(thread);
}

Result<void> Attachment::refresh() {
  return state_->refresh();
}

Result<StopReport> Attachment::hold(const HoldOptions& options, const std::function<void(Target&)>& read,
                                    const std::function<void(Target&)>& rehearse) {
  try {
    return state_->look(options, Readers{read, rehearse});
  } catch (const std::exception& fault) {
    // The stop, if there was one, has ended with the holder.
    if (state_->pages) state_->pages->close();
    return Error{ErrorCode::internal, std::string("while the target was held: ") + fault.what(), ""};
  }
}

}  // namespace pythreads::attach
