// The document that pythreads prints: a plain mirror of the JSON object that pythreads-json(5) defines, field
// for field and name for name. `dump` composes it from facts and findings (compose.h), `show` reads it back
// from a file (render/json.h), and every renderer works from it alone. That is why `show` prints the very
// bytes that `dump` printed.
//
// All text in it is valid UTF-8 (text_encoding.h). An empty optional is JSON's null; what is null because it
// could not be read is named in its object's `unread`. Closed lists are enums, open ones strings. Which
// fields there are, and in which order, is said once more, as code, in render/document_fields.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "attach/shared_text.h"
#include "report/analysis/findings.h"
#include "report/frame_fields.h"

namespace pythreads::report::document {

using Number = std::int64_t;
using Unread = std::vector<std::string>;

// 64 bits that JSON carries as a string, "0x7f…", for its numbers are only exact to 53.
struct Hex {
  std::uint64_t value = 0;
  bool operator==(const Hex&) const = default;
};

// `{pid, tid}`, or `{pid, task}` for a task.
struct Node {
  Number pid = 0;
  std::optional<Number> tid;
  std::optional<std::string> task;
  auto operator<=>(const Node&) const = default;
};

struct Evidence {
  std::string rule, text;
};

struct Tool {
  std::string name, version;
};

struct Host {
  std::optional<std::string> name, kernel, arch, boot_id;
  Unread unread;
};

struct DisturbedCall {
  Number tid = 0;
  std::string syscall, effect;
};

struct Source {
  std::string kind = "live";
  bool stopped = true;
  std::optional<double> pause_ms;
  std::optional<double> duration_ms;
  Number samples = 1;
  std::vector<std::string> options;
  std::vector<DisturbedCall> disturbed;
};

struct Look {
  std::string captured_at;
  std::optional<double> pause_ms;
  Verdict verdict = Verdict::unknown;
};

struct Python {
  std::string version;
  std::optional<bool> debug, free_threaded;
  std::optional<std::string> linkage, library, layout;
  Unread unread;
};

struct Gil {
  bool locked = false;
  std::optional<Number> holder;
  std::vector<Number> waiters;
};

struct Gc {
  bool collecting = false;
  std::optional<Number> thread;
};

struct StopTheWorld {
  bool requested = false;
  std::optional<Number> requester;
};

struct Interpreter {
  Number id = 0;
  bool main = false;
  std::optional<Gil> gil;
  std::optional<Gc> gc;
  std::optional<StopTheWorld> stop_the_world;
  Unread unread;
};

struct Place {
  std::string file;
  std::optional<Number> line;
  std::optional<std::string> function;
};

struct RaisedAt {
  std::string file;
  std::optional<Number> line;
};

struct Exception {
  std::string type;
  std::optional<std::string> message;
  std::optional<RaisedAt> raised_at;
  Unread unread;
};

struct Descriptor {
  Number fd = -1;
  std::optional<std::string> what, peer;
};

struct Wait {
  std::string kind;
  std::optional<std::string> resource;
  std::optional<Node> target;
  std::optional<Descriptor> descriptor;
  std::optional<bool> timeout;
  std::optional<double> ends_in_ms, since_ms;
  Certainty certainty = Certainty::possible;
  Evidence evidence;
  Unread unread;
};

struct Hold {
  std::string resource;
  Certainty certainty = Certainty::possible;
  Evidence evidence;
  std::optional<Number> frame;  // index into the thread's frames
  std::optional<Place> acquired_at;
};

struct Local {
  std::string name, value;
  bool redacted = false;
};

struct Frame {
  attach::SharedText kind;  // python, native, gap
  OptionalText function, qualified_name, file;
  OptionalPosition line, column, end_line, end_column;
  OptionalText module;
  std::optional<Hex> address;
  std::optional<Hex> offset;
  std::optional<bool> inlined;
  OptionalText trust;
  Rare<std::vector<Local>> locals;
  OptionalText reason;
  Unread unread;
};

struct Thread {
  std::optional<Number> tid, namespace_tid;
  std::optional<Hex> ident;
  std::optional<std::string> name, os_name;
  std::optional<bool> daemon;
  bool main = false;
  std::string kind = "python";
  std::optional<Number> interpreter;
  std::optional<bool> suspended;  // another state of its OS thread runs above it
  std::optional<std::string> state;
  std::optional<double> cpu_ms;
  std::optional<Number> unmoved_looks;
  std::optional<std::string> gil, attachment;
  bool held = false;
  Status status = Status::running;
  std::optional<Exception> exception;
  std::optional<Number> recursion_depth;
  std::optional<bool> tracing, profiling;
  std::optional<std::string> pending_async_exception;
  std::optional<Wait> wait;
  std::vector<Hold> holds;
  std::vector<Frame> frames;
  std::optional<std::string> trigger;
  Unread unread;
};

struct Owner {
  Node node;
  Certainty certainty = Certainty::possible;
  Evidence evidence;
};

struct Candidate {
  Node node;
  Evidence evidence;
};

// One field of a resource's `detail`, whose names depend on its kind.
struct Detail {
  std::string name;
  std::variant<std::monostate, bool, Number, double, std::string> value;
};

struct Resource {
  std::string id;
  std::vector<std::string> same_as;
  std::string kind;
  std::optional<Hex> address;
  std::optional<std::string> name;
  std::optional<bool> locked;
  std::optional<Owner> owner;
  std::vector<Candidate> candidates;
  std::string owner_state;
  std::optional<Number> count, capacity;
  std::vector<Node> waiters;
  std::optional<std::vector<Detail>> detail;
  Unread unread;
};

struct Task {
  std::string id, flavour;
  std::optional<std::string> name, coroutine, state;
  Status status = Status::running;
  std::optional<Number> thread;
  std::vector<Frame> frames;
  std::optional<Wait> wait;
  std::vector<Hold> holds;
  std::vector<std::string> awaited_by;
  std::optional<Number> cancelling;
  Unread unread;
};

struct Gap {
  std::string where, reason;
};

struct Process {
  Number pid = 0;
  std::optional<Number> parent_pid;
  std::optional<std::vector<Number>> namespace_pids;
  std::optional<std::string> started_at;
  std::optional<Number> start_ticks;
  std::string captured_at;
  std::optional<double> pause_ms;
  std::optional<std::vector<std::string>> command;
  std::optional<std::string> executable, working_directory;
  std::optional<Number> uid;
  std::optional<std::string> cgroup, container_id, role;
  Verdict verdict = Verdict::unknown;
  std::string summary;
  std::optional<std::string> fingerprint;
  std::optional<Python> python;
  std::string state;
  std::vector<Interpreter> interpreters;
  std::vector<Thread> threads;
  std::vector<Resource> resources;
  std::vector<Task> tasks;
  std::vector<Gap> gaps;
  Unread unread;
};

struct Cause {
  std::string kind;
  Certainty certainty = Certainty::possible;
  std::string sentence;
  std::vector<Node> nodes;
  std::vector<std::string> resources;
  std::vector<Node> behind;
  std::optional<std::string> fingerprint;
};

struct Edge {
  Node from, to;
  std::optional<std::string> resource;
  std::string kind;
  Certainty certainty = Certainty::possible;
};

struct Findings {
  Verdict verdict = Verdict::unknown;
  std::string summary;
  std::optional<std::string> fingerprint;
  std::vector<Cause> causes;
  std::vector<Edge> edges;
  std::vector<std::vector<Node>> cycles;
};

struct Failure {
  std::optional<Number> pid;  // null: no process was at fault
  std::string code;
  Number exit = 0;
  std::string message;
  std::optional<std::string> hint;
};

inline constexpr const char* schema_name = "pythreads/1";

struct Document {
  std::string schema = schema_name;
  Tool tool;
  Host host;
  std::string captured_at;
  Source source;
  std::vector<Look> looks;
  std::vector<Process> processes;
  Findings findings;
  std::vector<Failure> errors;
};

}  // namespace pythreads::report::document

namespace pythreads::report {

using Document = document::Document;

}  // namespace pythreads::report
