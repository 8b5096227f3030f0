#include "report/compose.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "report/analysis/joined_threads.h"
#include "report/analysis/mixed_stack.h"
#include "report/text_encoding.h"

namespace pythreads::report {
namespace {

namespace doc = document;

std::optional<std::string> text_or_null(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return valid_utf8(text);
}

// The text itself where it is valid as it is, so that frames go on sharing it.
attach::SharedText valid_text(const attach::SharedText& text) {
  return is_printable_ascii(text) ? text : attach::SharedText(valid_utf8(text));
}

doc::OptionalText shared_or_null(const attach::SharedText& text) {
  if (text.empty()) return std::nullopt;
  return valid_text(text);
}

doc::OptionalPosition position(int number) {
  if (number <= 0) return std::nullopt;
  return number;
}

std::optional<doc::Number> positive(std::int64_t number) {
  if (number <= 0) return std::nullopt;
  return number;
}

std::optional<doc::Hex> address_or_null(attach::Address address) {
  if (address.is_null()) return std::nullopt;
  return doc::Hex{address.value};
}

// Microseconds are as much as a clock of ours can mean.
double rounded(double milliseconds) {
  return std::round(milliseconds * 1000) / 1000;
}

doc::Number number_of(std::uint64_t value) {
  return static_cast<doc::Number>(std::min<std::uint64_t>(value, INT64_MAX));
}

doc::Evidence evidence_of(const Evidence& evidence) {
  return {valid_utf8(evidence.rule), valid_utf8(evidence.text)};
}

doc::Node node_of(Node node) {
  return {node.pid, node.tid, std::nullopt};
}

std::vector<doc::Node> nodes_of(const std::vector<Node>& nodes) {
  std::vector<doc::Node> all;
  all.reserve(nodes.size());
  for (const Node node : nodes) all.push_back(node_of(node));
  return all;
}

std::optional<std::string> kernel_state(char letter) {
  switch (letter) {
    case 'R':
      return "running";
    case 'S':
    case 'I':
      return "sleeping";
    case 'D':
      return "disk-sleep";
    case 'T':
      return "stopped";
    case 't':
      return "traced";
    case 'Z':
    case 'X':
      return "zombie";
    default:
      return std::nullopt;
  }
}

std::string owner_state_name(OwnerState state) {
  switch (state) {
    case OwnerState::none:
      return "none";
    case OwnerState::alive:
      return "alive";
    case OwnerState::exited:
      return "exited";
    case OwnerState::before_fork:
      return "before-fork";
    case OwnerState::other_process:
      return "other-process";
    case OwnerState::not_recorded:
      return "not-recorded";
  }
  return "not-recorded";
}

// One process: its parts in the document's order.
class ProcessComposer {
 public:
  ProcessComposer(const Snapshot& snapshot, const ProcessFindings& findings, const DocumentSource& source)
      : snapshot_(snapshot), findings_(findings), source_(source), threads_(join_threads(snapshot)) {}

  doc::Process compose() {
    add_process();
    add_python();
    for (const pyframes::PyInterpreter& interpreter : snapshot_.runtime.interpreters) {
      add_interpreter(interpreter);
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) add_thread(i);
    for (const Resource& resource : findings_.resources) add_resource(resource);
    for (const std::string& gap : snapshot_.gaps) add_gap("process", gap);
    for (const std::string& gap : snapshot_.runtime.gaps) add_gap("python", gap);
    return std::move(process_);
  }

 private:
  void add_gap(std::string where, const std::string& reason) {
    if (!reason.empty()) process_.gaps.push_back({std::move(where), valid_utf8(reason)});
  }

  bool was_unread(std::string_view field) const {
    const std::vector<std::string>& unread = snapshot_.process.unread;
    return std::find(unread.begin(), unread.end(), field) != unread.end();
  }

  void add_process() {
    const attach::Process& from = snapshot_.process;
    process_.pid = from.pid;
    if (from.parent_pid) process_.parent_pid = *from.parent_pid;
    if (!was_unread("namespace_pids")) {
      process_.namespace_pids.emplace(from.namespace_pids.begin(), from.namespace_pids.end());
    }
    if (from.started_at) process_.started_at = rfc3339(*from.started_at);
    if (!was_unread("start_ticks")) process_.start_ticks = number_of(from.start_ticks);
    process_.captured_at = rfc3339(snapshot_.captured_at);
    if (snapshot_.stopped) process_.pause_ms = rounded(snapshot_.pause_ms);
    add_command(from);
    process_.executable = text_or_null(from.executable);
    process_.working_directory = text_or_null(from.working_directory);
    if (source_.leave_private_out) process_.working_directory.reset();
    if (!was_unread("uid")) process_.uid = static_cast<doc::Number>(from.uid);
    process_.cgroup = text_or_null(from.cgroup);
    process_.container_id = text_or_null(from.container_id);
    process_.verdict = findings_.verdict;
    process_.summary = valid_utf8(findings_.summary);
    process_.fingerprint = text_or_null(findings_.fingerprint);
    process_.state = state_word();
    for (const std::string& field : from.unread) process_.unread.push_back(valid_utf8(field));
  }

  void add_command(const attach::Process& from) {
    if (was_unread("command")) return;
    process_.command.emplace();
    for (const std::string& argument : from.command) {
      process_.command->push_back(valid_utf8(argument));
      if (source_.leave_private_out) break;
    }
  }

  std::string state_word() const {
    if (snapshot_.process.state == 'Z') return "zombie";
    if (snapshot_.process.state == 'T') return "stopped";
    const pyframes::PyRuntimeState& runtime = snapshot_.runtime;
    if (runtime.finalizing) return "finalizing";
    return runtime.initialized ? "running" : "initializing";
  }

  void add_python() {
    const pyframes::PyRuntimeState& from = snapshot_.runtime;
    doc::Python python;
    python.version = pyframes::to_string(from.version);
    // Before it is initialized only the minor version may be known.
    if (from.version.hex == 0) python.version.resize(python.version.rfind('.'));
    python.debug = from.debug;
    python.free_threaded = from.free_threaded;
    python.linkage = from.linkage == pyframes::Linkage::static_executable ? "static" : "shared";
    python.library = text_or_null(from.library);
    python.layout = from.layout == pyframes::LayoutTrust::exact ? "exact" : "extrapolated";
    process_.python = std::move(python);
  }

  void add_interpreter(const pyframes::PyInterpreter& from) {
    doc::Interpreter interpreter;
    interpreter.id = from.id;
    interpreter.main = from.main;
    const std::string where = "interpreter " + std::to_string(from.id);
    if (from.gil) {
      doc::Gil gil{from.gil->locked, positive(from.gil->holder_tid), {}};
      for (std::size_t i = 0; i < threads_.size(); ++i) {
        const pyframes::PyInterpreter* whose = threads_[i].interpreter;
        const bool same = whose != nullptr && whose->gil && whose->gil->address == from.gil->address;
        if (same && findings_.threads[i].gil == GilRole::waits) {
          gil.waiters.push_back(threads_[i].tid());
        }
      }
      interpreter.gil = std::move(gil);
    } else if (!from.gil_gap.empty()) {
      interpreter.unread.emplace_back("gil");
      add_gap(where, from.gil_gap);
    }
    if (from.gc_collecting) {
      interpreter.gc = doc::Gc{*from.gc_collecting, positive(from.gc_tid)};
    } else {
      interpreter.unread.emplace_back("gc");
    }
    if (from.stop_the_world_requested) {
      interpreter.stop_the_world =
          doc::StopTheWorld{*from.stop_the_world_requested, positive(from.stop_the_world_requester)};
    } else if (snapshot_.runtime.free_threaded) {
      interpreter.unread.emplace_back("stop_the_world");
    }
    add_gap(where, from.threads_gap);
    process_.interpreters.push_back(std::move(interpreter));
  }

  void add_thread(std::size_t index) {
    const JoinedThread& joined = threads_[index];
    const ThreadFinding& finding = findings_.threads[index];
    doc::Thread thread;
    thread.held = joined.held();
    thread.status = finding.status;
    thread.kind = joined.python != nullptr ? "python" : "native";
    if (joined.os != nullptr) {
      add_kernel_view(joined.os->os, thread);
    } else {
      thread.unread = {"tid", "namespace_tid", "os_name", "state", "cpu_ms"};
      if (joined.tid() != 0) thread.tid = joined.tid();
    }
    if (joined.python != nullptr) {
      add_python_view(joined, finding, thread);
    } else if (joined.os != nullptr && joined.os->os.registers &&
               joined.os->os.registers->pthread_self != 0) {
      thread.ident = doc::Hex{joined.os->os.registers->pthread_self};
    }
    add_frames(joined, finding, thread);
    if (finding.wait) thread.wait = wait_of(*finding.wait);
    process_.threads.push_back(std::move(thread));
  }

  void add_kernel_view(const attach::ThreadState& from, doc::Thread& thread) {
    thread.tid = from.tid;
    thread.namespace_tid = positive(from.namespace_tid);
    thread.os_name = text_or_null(from.os_name);
    thread.state = kernel_state(from.state);
    if (from.cpu_ms) thread.cpu_ms = static_cast<double>(*from.cpu_ms);
    if (!thread.namespace_tid) thread.unread.emplace_back("namespace_tid");
    if (!thread.state) thread.unread.emplace_back("state");
    if (!thread.cpu_ms) thread.unread.emplace_back("cpu_ms");
    const std::string where = "thread " + std::to_string(from.tid);
    if (from.outcome == attach::StopOutcome::unstoppable) {
      add_gap(where, "it did not stop in time and was let go" + (from.gap.empty() ? "" : ": " + from.gap));
    } else if (from.outcome == attach::StopOutcome::exited) {
      add_gap(where, "it ended while it was being stopped");
    } else {
      add_gap(where, from.gap);
    }
  }

  void add_python_view(const JoinedThread& joined, const ThreadFinding& finding, doc::Thread& thread) {
    const pyframes::PyThread& from = *joined.python;
    thread.ident = doc::Hex{from.ident};
    thread.name = text_or_null(from.name);
    thread.daemon = from.daemon;
    thread.main = from.main;
    thread.interpreter = joined.interpreter->id;
    thread.suspended = from.suspended;
    if (joined.interpreter->gil) {
      constexpr const char* roles[] = {"none", "waits", "holds"};
      thread.gil = roles[static_cast<int>(finding.gil)];
    }
    if (from.attachment) {
      constexpr const char* words[] = {"detached", "attached", "suspended", "shutting-down"};
      thread.attachment = words[static_cast<int>(*from.attachment)];
    }
    if (from.recursion_depth) {
      thread.recursion_depth = *from.recursion_depth;
    } else {
      thread.unread.emplace_back("recursion_depth");
    }
    thread.tracing = from.tracing;
    thread.profiling = from.profiling;
    thread.pending_async_exception =
        from.pending_async_exception ? text_or_null(*from.pending_async_exception) : std::nullopt;
    if (from.exception) thread.exception = exception_of(*from.exception);
    const std::string where =
        joined.tid() != 0 ? "thread " + std::to_string(joined.tid()) : "thread state without an OS thread";
    for (const std::string& gap : from.gaps) add_gap(where, gap);
  }

  doc::Exception exception_of(const pyframes::PyException& from) const {
    doc::Exception exception;
    exception.type = valid_utf8(from.type);
    if (!source_.leave_private_out) exception.message = valid_utf8(from.message);
    if (!from.raised_at_file.empty()) {
      exception.raised_at = doc::RaisedAt{valid_utf8(from.raised_at_file), positive(from.raised_at_line)};
    }
    return exception;
  }

  void add_frames(const JoinedThread& joined, const ThreadFinding& finding, doc::Thread& thread) {
    const std::vector<MixedFrame> stack = source_.native ? mixed_stack(joined) : python_stack(joined);
    std::vector<std::optional<doc::Number>> frame_at(joined.python != nullptr ? joined.python->frames.size()
                                                                              : 0);
    thread.frames.reserve(stack.size());
    for (const MixedFrame& mixed : stack) {
      switch (mixed.kind) {
        case MixedKind::python:
          frame_at[mixed.index] = static_cast<doc::Number>(thread.frames.size());
          thread.frames.push_back(python_frame(joined.python->frames[mixed.index]));
          break;
        case MixedKind::native:
          thread.frames.push_back(native_frame(joined.os->native.frames[mixed.index]));
          break;
        case MixedKind::gap:
          thread.frames.push_back(gap_frame(mixed.reason));
          break;
      }
    }
    thread.trigger = text_or_null(finding.trigger);
    for (const Hold& from : finding.holds) {
      doc::Hold hold{from.resource, from.certainty, evidence_of(from.evidence), std::nullopt, std::nullopt};
      if (from.frame && *from.frame < frame_at.size()) {
        hold.frame = frame_at[*from.frame];
      }
      if (from.acquired.line > 0) {
        hold.acquired_at = doc::Place{valid_utf8(from.acquired.file), from.acquired.line,
                                      text_or_null(from.acquired.function)};
      }
      thread.holds.push_back(std::move(hold));
    }
  }

  doc::Frame python_frame(const pyframes::PyFrame& from) const {
    doc::Frame frame;
    static const attach::SharedText kind = "python";
    frame.kind = kind;
    if (!from.function_unread) frame.function = valid_text(from.function);
    if (!from.function_unread) frame.qualified_name = valid_text(from.qualified_name);
    if (!from.file_unread) frame.file = valid_text(from.file);
    frame.line = position(from.line);
    frame.column = position(from.column);
    frame.end_line = position(from.end_line);
    frame.end_column = position(from.end_column);
    frame.module = shared_or_null(from.module_name);
    frame.address = address_or_null(from.address);
    for (const auto& [name, missing] : {std::pair{"function", !frame.function}, {"file", !frame.file}}) {
      if (missing) frame.unread.emplace_back(name);
    }
    if (source_.locals) {
      frame.locals.emplace();
      for (const pyframes::PyLocal& local : from.locals) {
        frame.locals->push_back({valid_utf8(local.name), valid_utf8(local.value.text), local.value.redacted});
      }
      if (!from.locals_gap.empty()) {
        frame.unread.emplace_back("locals");
        frame.reason = valid_utf8(from.locals_gap);
        if (frame.locals->empty()) frame.locals.reset();
      }
    }
    return frame;
  }

  static doc::Frame native_frame(const unwinder::NativeFrame& from) {
    doc::Frame frame;
    static const attach::SharedText kind = "native", exact = "exact", scanned = "scanned";
    frame.kind = kind;
    frame.function = shared_or_null(from.function);
    frame.file = shared_or_null(from.file);
    frame.line = position(from.line);
    frame.module = shared_or_null(from.module);
    frame.address = doc::Hex{from.pc.value};
    // Into the function where it has a name, as nm(1) and gdb count; else into the module.
    if (!from.function.empty()) {
      frame.offset = doc::Hex{from.symbol_offset};
    } else if (!from.module.empty()) {
      frame.offset = doc::Hex{from.module_offset};
    }
    frame.inlined = from.inlined;
    frame.trust = from.trust == unwinder::FrameTrust::exact ? exact : scanned;
    return frame;
  }

  static doc::Frame gap_frame(const std::string& reason) {
    doc::Frame frame;
    frame.kind = "gap";
    frame.reason = valid_utf8(reason);
    return frame;
  }

  static doc::Wait wait_of(const Wait& from) {
    doc::Wait wait;
    wait.kind = from.kind;
    wait.resource = from.resource;
    if (from.target) wait.target = node_of(*from.target);
    if (from.descriptor) wait.descriptor = doc::Descriptor{*from.descriptor, std::nullopt, std::nullopt};
    wait.timeout = from.timeout;
    wait.ends_in_ms = from.ends_in_ms;
    wait.certainty = from.certainty;
    wait.evidence = evidence_of(from.evidence);
    if (!from.timeout) wait.unread.emplace_back("timeout");
    return wait;
  }

  static decltype(doc::Detail::value) detail_value(const decltype(Detail::value)& from) {
    if (const auto* flag = std::get_if<bool>(&from)) return *flag;
    if (const auto* number = std::get_if<std::int64_t>(&from)) return *number;
    if (const auto* text = std::get_if<std::string>(&from)) return valid_utf8(*text);
    return std::monostate{};
  }

  void add_resource(const Resource& from) {
    doc::Resource resource;
    resource.id = from.id;
    resource.kind = from.kind;
    resource.address = address_or_null(from.address);
    resource.name = text_or_null(from.name);
    resource.locked = from.locked;
    if (from.owner) {
      resource.owner =
          doc::Owner{node_of(*from.owner), from.owner_certainty, evidence_of(from.owner_evidence)};
    }
    for (const Candidate& candidate : from.candidates) {
      resource.candidates.push_back({node_of(candidate.node), evidence_of(candidate.evidence)});
    }
    resource.owner_state = owner_state_name(from.owner_state);
    resource.count = from.count;
    resource.capacity = from.capacity;
    resource.waiters = nodes_of(from.waiters);
    if (!from.detail.empty()) resource.detail.emplace();
    for (const Detail& each : from.detail)
      resource.detail->push_back({valid_utf8(each.name), detail_value(each.value)});
    if (!from.locked) resource.unread.emplace_back("locked");
    process_.resources.push_back(std::move(resource));
  }

  const Snapshot& snapshot_;
  const ProcessFindings& findings_;
  const DocumentSource& source_;
  std::vector<JoinedThread> threads_;
  doc::Process process_;
};

doc::Findings findings_of(const Findings& from) {
  doc::Findings findings;
  findings.verdict = from.verdict;
  findings.summary = valid_utf8(from.summary);
  findings.fingerprint = text_or_null(from.fingerprint);
  for (const Cause& cause : from.causes) {
    findings.causes.push_back({cause.kind, cause.certainty, valid_utf8(cause.sentence), nodes_of(cause.nodes),
                               cause.resources, nodes_of(cause.behind), text_or_null(cause.fingerprint)});
  }
  for (const Edge& edge : from.edges) {
    findings.edges.push_back(
        {node_of(edge.from), node_of(edge.to), edge.resource, edge.kind, edge.certainty});
  }
  for (const std::vector<Node>& cycle : from.cycles) findings.cycles.push_back(nodes_of(cycle));
  return findings;
}

doc::Host host_of(const attach::Host& from) {
  doc::Host host{text_or_null(from.name),
                 text_or_null(from.kernel),
                 text_or_null(from.arch),
                 text_or_null(from.boot_id),
                 {}};
  for (const auto& [name, missing] : {std::pair{"name", !host.name},
                                      {"kernel", !host.kernel},
                                      {"arch", !host.arch},
                                      {"boot_id", !host.boot_id}}) {
    if (missing) host.unread.emplace_back(name);
  }
  return host;
}

// Of those that were stopped; null: none was.
std::optional<double> longest_pause(std::span<const Snapshot> snapshots) {
  std::optional<double> longest;
  for (const Snapshot& snapshot : snapshots) {
    if (snapshot.stopped) longest = std::max(longest.value_or(0), rounded(snapshot.pause_ms));
  }
  return longest;
}

doc::Source source_of(std::span<const Snapshot> snapshots, const DocumentSource& from) {
  doc::Source source;
  source.kind = from.kind;
  source.duration_ms = rounded(from.duration_ms);
  for (const std::string& option : from.options) source.options.push_back(valid_utf8(option));
  source.pause_ms = longest_pause(snapshots);
  source.stopped = !snapshots.empty();
  for (const Snapshot& snapshot : snapshots) {
    source.stopped = source.stopped && snapshot.stopped;
    for (const Disturbed& call : snapshot.disturbed) {
      source.disturbed.push_back({call.tid, valid_utf8(call.syscall), valid_utf8(call.effect)});
    }
  }
  return source;
}

}  // namespace

Document compose(std::span<const Snapshot> snapshots, const Findings& findings,
                 const DocumentSource& source) {
  Document document;
  document.tool = {"pythreads", source.tool_version};
  document.host = host_of(source.host);
  document.captured_at = rfc3339(source.captured_at);
  document.source = source_of(snapshots, source);
  const std::size_t processes = std::min(snapshots.size(), findings.processes.size());
  for (std::size_t i = 0; i < processes; ++i) {
    document.processes.push_back(ProcessComposer(snapshots[i], findings.processes[i], source).compose());
  }
  document.findings = findings_of(findings);
  document.errors = source.errors;
  for (doc::Failure& failure : document.errors) {
    failure.message = valid_utf8(failure.message);
    if (failure.hint) failure.hint = valid_utf8(*failure.hint);
  }
  return document;
}

document::Look look_of(std::span<const Snapshot> snapshots, const Findings& findings) {
  return {rfc3339(snapshots.front().captured_at), longest_pause(snapshots), findings.verdict};
}

}  // namespace pythreads::report
