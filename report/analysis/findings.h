// What the facts mean: each thread's wait and status, resources with their owners, edges, cycles, the
// verdict. Computed from snapshots alone (analyse.h). Every claim carries its certainty and its evidence.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "attach/address.h"

namespace pythreads::report {

// From weakest to strongest, so that the weakest link of a cycle is std::min.
enum class Certainty { possible, likely, recorded, inferred, certain };
enum class Verdict { running, waiting, unknown, stalled, possible_deadlock, deadlock };
enum class Status { running, blocked, waiting, idle };
enum class GilRole { none, waits, holds };

struct Evidence {
  std::string rule;  // a stable word
  std::string text;  // a sentence
};

struct Node {
  pid_t pid = 0;
  pid_t tid = 0;
  auto operator<=>(const Node&) const = default;
};

struct Wait {
  std::string kind;  // the contract's wait.kind
  std::optional<std::string> resource;
  std::optional<Node> target;   // a thread that is joined
  std::optional<bool> timeout;  // the wait ends by itself
  std::optional<double> ends_in_ms;
  std::optional<int> descriptor;
  Certainty certainty = Certainty::possible;
  Evidence evidence;
};

struct Place {
  std::string file;
  int line = 0;  // 0: not known
  std::string function;
};

struct Hold {
  std::string resource;
  Certainty certainty = Certainty::possible;
  Evidence evidence;
  std::optional<std::size_t> frame;  // index into the thread's Python frames
  Place acquired;                    // the `with` or the acquire; line 0: not known
};

// One for each of `join_threads(snapshot)`, in the same order.
struct ThreadFinding {
  Node node;
  std::int64_t interpreter = 0;
  Status status = Status::running;
  GilRole gil = GilRole::none;
  std::optional<Wait> wait;
  std::vector<Hold> holds;
  std::string trigger;  // the contract's trigger; empty: nothing runs in the middle of something else
};

struct Candidate {
  Node node;
  Evidence evidence;
};

struct Detail {
  std::string name;
  std::variant<std::monostate, bool, std::int64_t, std::string> value;
};

enum class OwnerState { none, alive, exited, before_fork, other_process, not_recorded };

struct Resource {
  std::string id;    // "PID:r1"
  std::string kind;  // the contract's resources.kind
  attach::Address address;
  std::string name;  // as a person would find it in the source; empty: none was found
  std::optional<bool> locked;
  std::optional<Node> owner;
  Certainty owner_certainty = Certainty::possible;
  Evidence owner_evidence;
  std::vector<Candidate> candidates;  // who may hold it, when nobody is known to
  OwnerState owner_state = OwnerState::not_recorded;
  std::optional<std::int64_t> count, capacity;
  std::vector<Node> waiters;
  std::vector<Detail> detail;  // what its kind alone has
};

struct Edge {
  Node from, to;
  std::optional<std::string> resource;
  std::string kind;  // that of the wait
  Certainty certainty = Certainty::possible;
  bool timed = false;
  // One of several that could each end the wait: the workers of a pool, the holders of a semaphore's permits.
  bool any_of = false;
};

// `by` may come to a call that ends the wait of `from`, though it is not known to own what that waits for:
// then `from` is stuck only if `by` is. It claims nothing, it only keeps a claim from being made, and is not
// shown.
struct WayOut {
  Node from, by;
};

struct Cause {
  std::string kind;  // the contract's causes.kind
  Certainty certainty = Certainty::possible;
  std::string sentence;
  std::vector<Node> nodes;
  std::vector<std::string> resources;
  std::vector<Node> behind;            // stuck because of it, and not in it
  std::string fingerprint;             // "fp1:" and 16 hex digits
  bool timed = false;                  // a time limit will end it, or may
  Verdict verdict = Verdict::unknown;  // what it alone makes of its process
};

struct ProcessFindings {
  pid_t pid = 0;
  Verdict verdict = Verdict::unknown;
  std::string summary;
  std::string fingerprint;  // of the first cause; empty without one
  std::vector<ThreadFinding> threads;
  std::vector<Resource> resources;
};

struct Findings {
  Verdict verdict = Verdict::unknown;
  std::string summary;
  std::string fingerprint;
  std::vector<ProcessFindings> processes;
  std::vector<Cause> causes;
  std::vector<Edge> edges;
  std::vector<WayOut> ways_out;
  std::vector<std::vector<Node>> cycles;
};

}  // namespace pythreads::report
