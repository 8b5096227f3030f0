#include "report/analysis/causes.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/analysis/cause_kinds.h"
#include "report/analysis/stuck_threads.h"
#include "report/analysis/wait_graph.h"

namespace pythreads::report {
namespace {

constexpr std::size_t sentence_threads = 6;  // a longer cycle is cut in its sentence

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

class Causes {
 public:
  Causes(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings)
      : processes_(processes), index_(index), findings_(findings) {}

  void run() {
    find_never_woken();
    stuck_ = stuck_edges(findings_.edges, never_woken_);
    for (const Knot& knot : find_knots(stuck_)) {
      findings_.cycles.push_back(knot.cycle);
      add_knot(knot);
    }
    for (const JudgedProcess& process : processes_) {
      for (const Resource& resource : process.findings->resources) {
        add_gone_owner(resource);
        add_fork_orphan(*process.snapshot, resource);
      }
    }
    for (const JudgedProcess& process : processes_) {
      add_blocked_loops(process);
      add_stalls(process);
      add_blocked_exit(process);
    }
    // The gravest first: it gives the verdict its sentence and its fingerprint.
    std::stable_sort(findings_.causes.begin(), findings_.causes.end(),
                     [](const Cause& a, const Cause& b) { return verdict_of(a) > verdict_of(b); });
  }

 private:
  struct Grade {
    Certainty certainty = Certainty::certain;
    bool timed = false;
    std::optional<double> ends_in_ms;
  };

  // Threads whose lock nobody can release any more.
  void find_never_woken() {
    for (const JudgedProcess& process : processes_) {
      for (const Resource& resource : process.findings->resources) {
        if (resource.owner_state != OwnerState::exited && resource.owner_state != OwnerState::before_fork)
          continue;
        if (resource.kind == "Thread") continue;
        never_woken_.insert(never_woken_.end(), resource.waiters.begin(), resource.waiters.end());
      }
    }
  }

  void finish(Cause& cause, std::span<const Node> links, const Grade& grade) {
    std::vector<CauseLink> described;
    for (const Node node : links) described.push_back(index_.link(node));
    cause.certainty = grade.certainty;
    cause.timed = grade.timed;
    cause.fingerprint = fingerprint(cause.kind, described);
    cause.behind = nodes_behind(verdict_of(cause) == Verdict::stalled ? std::span<const Edge>(findings_.edges)
                                                                      : std::span<const Edge>(stuck_),
                                cause.nodes);
    findings_.causes.push_back(std::move(cause));
  }

  static std::string ending(const Grade& grade) {
    if (grade.timed && grade.ends_in_ms) {
      const auto seconds = static_cast<long long>(*grade.ends_in_ms / 1000.0);
      return "; a time limit ends it in " + std::to_string(seconds) + " s";
    }
    if (grade.timed) return "; a time limit may end it";
    if (grade.certainty < Certainty::inferred) return "; not every link is sure";
    return "; nothing will end it";
  }

  bool is_in_cause(Node node) const {
    return std::any_of(findings_.causes.begin(), findings_.causes.end(), [&](const Cause& cause) {
      return std::find(cause.nodes.begin(), cause.nodes.end(), node) != cause.nodes.end() ||
             std::find(cause.behind.begin(), cause.behind.end(), node) != cause.behind.end();
    });
  }

  // ---- cycles

  void add_knot(const Knot& knot) {
    const std::set<Node> members(knot.members.begin(), knot.members.end());
    Grade grade;
    std::vector<const Edge*> links;
    bool any_of = false;
    for (const Edge& edge : stuck_) {
      if (!members.contains(edge.from) || !members.contains(edge.to)) continue;
      links.push_back(&edge);
      any_of = any_of || edge.any_of;
      grade.certainty = std::min(grade.certainty, edge.certainty);
      if (!edge.timed) continue;
      const std::optional<Wait>& wait = index_.finding(edge.from).wait;
      const std::optional<double> ends = wait ? wait->ends_in_ms : std::nullopt;
      if (ends && (!grade.timed || (grade.ends_in_ms && *ends < *grade.ends_in_ms))) grade.ends_in_ms = ends;
      if (!ends && !grade.timed) grade.ends_in_ms.reset();
      grade.timed = true;
    }
    Cause cause;
    cause.nodes = any_of ? knot.members : knot.cycle;
    cause.kind = kind_of(knot, links);
    for (const Edge* link : links) {
      if (link->resource && std::find(cause.resources.begin(), cause.resources.end(), *link->resource) ==
                                cause.resources.end()) {
        cause.resources.push_back(*link->resource);
      }
    }
    cause.sentence = sentence_of(knot.cycle, cause, grade);
    finish(cause, knot.cycle, grade);
  }

  std::string kind_of(const Knot& knot, std::span<const Edge* const> links) const {
    const auto any = [&](auto test) {
      return std::any_of(links.begin(), links.end(), [&](const Edge* link) { return test(*link); });
    };
    const auto waits = [&](std::string_view kind) {
      return any([&](const Edge& link) { return link.kind == kind; });
    };
    if (waits("gil")) return "gil-native-cycle";
    if (waits("import")) return "import-cycle";
    if (any([](const Edge& link) { return link.kind == "future" && link.any_of; })) return "pool-starvation";
    if (any([&](const Edge& link) { return link.kind == "future" && is_loop_edge(link); }))
      return "loop-waits-on-itself";
    if (any([](const Edge& link) { return link.certainty == Certainty::likely && link.any_of; }) &&
        !waits("semaphore"))
      return "lost-wakeup";
    if (waits("semaphore")) return "resource-exhausted";
    if (waits("join") || waits("shutdown") || waits("handle")) return "join-cycle";
    if (knot.cycle.size() > 1) return "lock-cycle";
    return self_kind(knot.cycle.front(), *links.front());
  }

  // A future without a worker that is waited for by one thread alone: that of the loop which has to run it.
  bool is_loop_edge(const Edge& link) const {
    const Resource* waited = index_.resource(link.resource);
    return waited != nullptr && !waited->owner;
  }

  // What runs between the frame that took the lock and the one that waits for it again.
  const pyframes::PyFrame* interruption(Node node, const Edge& link) const {
    const JoinedThread& thread = index_.joined(node);
    if (thread.python == nullptr) return nullptr;
    std::size_t taken_in = thread.python->frames.size();
    for (const Hold& hold : index_.finding(node).holds) {
      if (link.resource == hold.resource && hold.frame) taken_in = *hold.frame;
    }
    for (std::size_t i = 0; i < std::min(taken_in, thread.python->frames.size()); ++i) {
      const pyframes::PyTrigger trigger = thread.python->frames[i].trigger;
      if (trigger != pyframes::PyTrigger::none && trigger != pyframes::PyTrigger::import)
        return &thread.python->frames[i];
    }
    return nullptr;
  }

  std::string self_kind(Node node, const Edge& link) const {
    const pyframes::PyFrame* frame = interruption(node, link);
    if (frame == nullptr) return "self-deadlock";
    switch (frame->trigger) {
      case pyframes::PyTrigger::finalizer:
      case pyframes::PyTrigger::gc:
        return "finalizer-reentry";
      case pyframes::PyTrigger::signal_handler:
        return "signal-reentry";
      default:
        return "self-deadlock";
    }
  }

  std::string sentence_of(const std::vector<Node>& cycle, const Cause& cause, const Grade& grade) const {
    if (cause.kind == "pool-starvation") return pool_sentence(cause, grade);
    if (cycle.size() == 1) return self_sentence(cycle.front(), grade);
    std::string text;
    const std::size_t shown = std::min(cycle.size(), sentence_threads);
    for (std::size_t i = 0; i < shown; ++i) {
      const Node node = cycle[i];
      const Node next = cycle[(i + 1) % cycle.size()];
      const Edge& link = *index_.edge(node, next);
      const Resource* resource = index_.resource(link.resource);
      if (i == 0) text += index_.label(node);
      text += " waits" + index_.place(node) + " for " + ThreadIndex::label(resource) +
              relation(link, resource) + index_.label(next);
      text += index_.taken(next, resource);
      if (i + 1 < shown) text += index_.taken(next, resource).empty() ? ", which" : " and";
    }
    if (shown < cycle.size())
      text += " … and so on through " + std::to_string(cycle.size()) + " threads back to the first";
    return text + ending(grade);
  }

  static std::string relation(const Edge& link, const Resource* resource) {
    if (resource != nullptr && resource->kind == "Thread") return ", ";
    if (link.kind == "future") return ", which is for ";
    if (link.any_of && link.certainty == Certainty::likely) return ", to be woken by ";
    if (link.any_of) return ", a permit of which has ";
    return link.certainty == Certainty::recorded ? ", by its owner field held by " : ", held by ";
  }

  std::string self_sentence(Node node, const Grade& grade) const {
    const Edge& link = *index_.edge(node, node);
    const Resource* resource = index_.resource(link.resource);
    std::string text =
        index_.label(node) + " waits" + index_.place(node) + " for " + ThreadIndex::label(resource);
    if (link.kind == "future") {
      text += ", which only its own event loop could complete";
    } else if (resource != nullptr && resource->kind == "Thread") {
      text = index_.label(node) + " waits" + index_.place(node) + " for its own end";
    } else {
      text += ", which it holds itself";
      const std::string taken = index_.taken(node, resource);
      if (!taken.empty()) text += taken.substr(std::string_view(", which").size());
    }
    if (const pyframes::PyFrame* frame = interruption(node, link)) {
      text += "; " + trigger_words(frame->trigger) + ' ' + frame->function + " (" + file_name(frame->file) +
              ':' + std::to_string(frame->line) + ") ran in the middle of it";
    }
    return text + ending(grade);
  }

  static std::string trigger_words(pyframes::PyTrigger trigger) {
    switch (trigger) {
      case pyframes::PyTrigger::finalizer:
        return "the finalizer";
      case pyframes::PyTrigger::gc:
        return "the garbage collector's finalizer";
      case pyframes::PyTrigger::signal_handler:
        return "the signal handler";
      case pyframes::PyTrigger::atexit:
        return "the exit function";
      case pyframes::PyTrigger::trace:
        return "the trace function";
      case pyframes::PyTrigger::import:
      case pyframes::PyTrigger::none:
        break;
    }
    return "the function";
  }

  std::string pool_sentence(const Cause& cause, const Grade& grade) const {
    std::string text = "all " +
                       plural(cause.nodes.size(), "worker of a pool waits", "workers of a pool wait") +
                       " for work that lies in the pool's own queue, which only they would take: ";
    const Node first = cause.nodes.front();
    const std::optional<Wait>& wait = index_.finding(first).wait;
    text += index_.label(first) + " waits" + index_.place(first);
    if (wait) text += " for " + ThreadIndex::label(index_.resource(wait->resource));
    if (cause.nodes.size() > 1) text += ", and so do the others";
    return text + ending(grade);
  }

  // ---- owners that are gone

  void add_gone_owner(const Resource& resource) {
    const bool forked = resource.owner_state == OwnerState::before_fork;
    if ((resource.owner_state != OwnerState::exited && !forked) || resource.waiters.empty()) return;
    if (resource.kind == "Thread") return;
    Cause cause;
    cause.kind = forked ? "fork-orphan" : "owner-exited";
    cause.resources.push_back(resource.id);
    Grade grade{resource.owner_certainty, true, std::nullopt};
    for (const Node waiter : resource.waiters) {
      cause.nodes.push_back(waiter);
      const std::optional<Wait>& wait = index_.finding(waiter).wait;
      grade.timed = grade.timed && (!wait || wait->timeout.value_or(true));
    }
    const Node first = cause.nodes.front();
    cause.sentence = index_.label(first) + " waits" + index_.place(first) + " for " +
                     ThreadIndex::label(&resource) +
                     (forked ? ", whose owner stayed behind in the process that this one was forked from"
                             : ", whose owner is no thread of this process any more") +
                     ending(grade);
    finish(cause, std::span(&first, 1), grade);
  }

  // A lock that is locked, in a process that began as a fork, and that no thread is seen to hold: most likely
  // one that had it was not copied. An RLock's owner field alone says little here, for a new thread of the
  // child gets the ident of one that stayed behind.
  void add_fork_orphan(const Snapshot& snapshot, const Resource& resource) {
    if (!snapshot.process.forked_from || !resource.locked.value_or(false) || resource.waiters.empty()) return;
    if (resource.kind != "Lock" && resource.kind != "RLock") return;
    if (resource.owner ? resource.owner_certainty > Certainty::recorded : resource.kind == "RLock") return;
    const bool suspects =
        std::any_of(resource.candidates.begin(), resource.candidates.end(),
                    [](const Candidate& each) { return each.evidence.rule != "mentioned"; });
    if (suspects) return;
    Cause cause;
    cause.kind = "fork-orphan";
    cause.resources.push_back(resource.id);
    Grade grade{Certainty::likely, true, std::nullopt};
    for (const Node waiter : resource.waiters) {
      const std::optional<Wait>& wait = index_.finding(waiter).wait;
      if (!wait || (wait->kind != "lock" && wait->kind != "rlock")) return;
      grade.timed = grade.timed && wait->timeout.value_or(true);
      cause.nodes.push_back(waiter);
    }
    const Node first = cause.nodes.front();
    cause.sentence =
        index_.label(first) + " waits" + index_.place(first) + " for " + ThreadIndex::label(&resource) +
        ", which no thread of this process is seen to hold; the process was forked from process " +
        std::to_string(*snapshot.process.forked_from) +
        ", and a fork copies locks but not the threads that hold them";
    finish(cause, std::span(&first, 1), grade);
  }

  // ---- stalls: nobody can run, and yet there is no cycle

  static bool anybody_runs(const JudgedProcess& process) {
    return std::any_of(process.findings->threads.begin(), process.findings->threads.end(),
                       [](const ThreadFinding& each) { return each.status == Status::running; });
  }

  void add_stalls(const JudgedProcess& process) {
    const bool runs = anybody_runs(process);
    for (const Resource& each : process.findings->resources) {
      if (!each.owner || each.waiters.empty() || !index_.knows(*each.owner)) continue;
      // Who is joined, or works for a future, does its work: that is no queue before a lock.
      if (each.kind == "Thread" || each.kind == "Future") continue;
      const ThreadFinding& owner = index_.finding(*each.owner);
      const bool gil = each.kind == "GIL";
      const bool sleeps = gil ? owner.status != Status::running : is_outside(owner);
      if (!sleeps || (!gil && runs) || is_in_cause(owner.node)) continue;
      Grade grade{each.owner_certainty, false, std::nullopt};
      for (const Node waiter : each.waiters) {
        if (const Edge* link = index_.edge(waiter, owner.node))
          grade.certainty = std::min(grade.certainty, link->certainty);
      }
      // Facts of threads that were not held may be of different moments, and an ident alone may name a thread
      // that never took it.
      if (grade.certainty < (gil ? Certainty::recorded : Certainty::inferred)) continue;
      Cause cause;
      cause.kind = gil ? "gil-held-in-native" : "contention";
      cause.nodes.push_back(owner.node);
      cause.resources.push_back(each.id);
      cause.sentence = "at this moment " + plural(each.waiters.size(), "thread waits", "threads wait") +
                       " for " + ThreadIndex::label(&each) + ", held by " + index_.label(owner.node) +
                       index_.place(owner.node) + ", which itself waits" + doing(owner);
      finish(cause, std::span(&owner.node, 1), grade);
    }
  }

  // It waits for something that no thread of the process would give it.
  static bool is_outside(const ThreadFinding& thread) {
    return thread.status == Status::waiting && thread.wait && !thread.wait->resource;
  }

  // " in read, called by libfoo.so (read)"
  std::string doing(const ThreadFinding& thread) const {
    std::string text;
    const JoinedThread& joined = index_.joined(thread.node);
    if (joined.os != nullptr && joined.os->native_walked) text = native_call(joined.os->native);
    return text + (thread.wait ? " (" + thread.wait->kind + ")" : "");
  }

  // The innermost function with a name, and who called it from outside of its library.
  static std::string native_call(const unwinder::NativeStack& native) {
    const unwinder::NativeFrame* first = nullptr;
    for (const unwinder::NativeFrame& frame : native.frames) {
      if (first == nullptr) {
        if (!frame.function.empty()) first = &frame;
        continue;
      }
      if (frame.module == first->module || frame.module.empty()) continue;
      return " in " + first->function + " of " + file_name(first->module) + ", called by " +
             (frame.function.empty() ? file_name(frame.module)
                                     : frame.function + " of " + file_name(frame.module));
    }
    return first == nullptr ? "" : " in " + first->function + " of " + file_name(first->module);
  }

  // A thread whose asyncio loop others wait for, and which is blocked elsewhere.
  void add_blocked_loops(const JudgedProcess& process) {
    if (anybody_runs(process)) return;
    std::map<Node, std::size_t> waiters;
    for (const Edge& edge : findings_.edges) {
      const Resource* waited = index_.resource(edge.resource);
      if (edge.kind == "future" && !edge.any_of && waited != nullptr && !waited->owner &&
          edge.from != edge.to)
        ++waiters[edge.to];
    }
    for (const auto& [node, count] : waiters) {
      if (!index_.knows(node) || is_in_cause(node)) continue;
      const ThreadFinding& loop = index_.finding(node);
      if (loop.status != Status::blocked && loop.status != Status::waiting) continue;
      Cause cause;
      cause.kind = "loop-blocked";
      cause.nodes.push_back(node);
      cause.sentence = "at this moment " + plural(count, "thread waits", "threads wait") +
                       " for the event loop of " + index_.label(node) + ", which is blocked" +
                       index_.place(node) + doing(loop);
      finish(cause, std::span(&node, 1), Grade{});
    }
  }

  // The main thread has come to its end and waits for a thread that waits for nothing on the outside.
  void add_blocked_exit(const JudgedProcess& process) {
    const std::vector<ThreadFinding>& threads = process.findings->threads;
    const bool busy = std::any_of(threads.begin(), threads.end(), [&](const ThreadFinding& each) {
      const pyframes::PyThread* python = index_.joined(each.node).python;
      return python != nullptr && !python->daemon.value_or(false) &&
             (each.status == Status::running || is_outside(each));
    });
    for (const ThreadFinding& thread : threads) {
      if (!thread.wait || thread.wait->kind != "shutdown" || !thread.wait->target || busy) continue;
      const Node target = *thread.wait->target;
      if (!index_.knows(target) || is_in_cause(thread.node) || is_in_cause(target)) continue;
      const ThreadFinding& other = index_.finding(target);
      if (!other.wait || other.wait->timeout.value_or(true) || other.status == Status::idle) continue;
      Cause cause;
      cause.kind = "shutdown-blocked";
      cause.nodes = {thread.node, target};
      cause.sentence = "the process is at its end, and " + index_.label(thread.node) + " waits for " +
                       index_.label(target) + ", which is no daemon and waits" + index_.place(target) + " (" +
                       other.wait->kind + ")";
      finish(cause, std::span(&target, 1), Grade{});
    }
  }

  std::span<const JudgedProcess> processes_;
  const ThreadIndex& index_;
  Findings& findings_;
  std::vector<Node> never_woken_;
  std::vector<Edge> stuck_;
};

}  // namespace

void find_causes(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings) {
  Causes(processes, index, findings).run();
}

}  // namespace pythreads::report
