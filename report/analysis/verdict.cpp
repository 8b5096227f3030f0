#include "report/analysis/verdict.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "report/analysis/fingerprint.h"
#include "report/analysis/wait_graph.h"

namespace pythreads::report {
namespace {

constexpr std::size_t sentence_threads = 6;  // a longer cycle is cut in its sentence

struct ThreadPlace {
  const JudgedProcess* process = nullptr;
  std::size_t index = 0;
};

// The causes of one kind of trouble are found one by one; what they share is how they speak of threads.
class Judgement {
 public:
  Judgement(std::span<const JudgedProcess> processes, Findings& findings)
      : processes_(processes), findings_(findings) {
    for (const JudgedProcess& process : processes) {
      for (std::size_t i = 0; i < process.findings->threads.size(); ++i) {
        const ThreadFinding& thread = process.findings->threads[i];
        // Of the states of one OS thread, the one that waits speaks for it.
        const auto [found, added] = places_.try_emplace(thread.node, ThreadPlace{&process, i});
        if (!added && thread.wait && thread.wait->resource) found->second = {&process, i};
      }
      for (const Resource& resource : process.findings->resources) resources_.emplace(resource.id, &resource);
    }
    for (const Edge& edge : findings.edges) {
      const auto [found, added] = edges_.try_emplace({edge.from, edge.to}, &edge);
      if (!added && edge.certainty > found->second->certainty) found->second = &edge;
    }
  }

  void run() {
    findings_.cycles = find_cycles(findings_.edges);
    for (const std::vector<Node>& cycle : findings_.cycles) add_cycle(cycle);
    for (const JudgedProcess& process : processes_) {
      for (const Resource& resource : process.findings->resources) add_exited_owner(resource);
    }
    for (const JudgedProcess& process : processes_) add_stalls(process);
    // The gravest first: it gives the verdict its sentence and its fingerprint.
    std::stable_sort(findings_.causes.begin(), findings_.causes.end(),
                     [](const Cause& a, const Cause& b) { return verdict_of(a) > verdict_of(b); });
    for (const JudgedProcess& process : processes_) judge_process(process);
    judge_whole();
  }

 private:
  struct Grade {
    Certainty certainty = Certainty::certain;
    bool timed = false;
  };

  const ThreadFinding& finding(Node node) const {
    const ThreadPlace& place = places_.at(node);
    return place.process->findings->threads[place.index];
  }
  const JoinedThread& joined(Node node) const {
    const ThreadPlace& place = places_.at(node);
    return place.process->threads[place.index];
  }

  const Resource* resource(const std::optional<std::string>& id) const {
    const auto found = id ? resources_.find(*id) : resources_.end();
    return found == resources_.end() ? nullptr : found->second;
  }

  // The surest edge from one node to the next; null if there is none.
  const Edge* edge(Node from, Node to) const {
    const auto found = edges_.find({from, to});
    return found == edges_.end() ? nullptr : found->second;
  }

  static std::string name_of(const Resource* resource) {
    if (resource == nullptr) return "a resource";
    if (resource->kind == "GIL") return "the GIL";
    char text[32];
    std::snprintf(text, sizeof text, " 0x%llx", static_cast<unsigned long long>(resource->address.value));
    return resource->kind + text;
  }

  static const pyframes::PyFrame* innermost(const JoinedThread& thread) {
    if (thread.python == nullptr) return nullptr;
    for (const pyframes::PyFrame& frame : thread.python->frames) {
      if (!frame.trampoline) return &frame;
    }
    return nullptr;
  }

  static std::string place_of(const JoinedThread& thread) {
    const pyframes::PyFrame* frame = innermost(thread);
    if (frame == nullptr) return "";
    const std::string file = frame->file.substr(frame->file.rfind('/') + 1);
    return " at " + file + ":" + (frame->line > 0 ? std::to_string(frame->line) : "?");
  }

  CauseLink link_of(Node node) const {
    CauseLink link;
    const ThreadFinding& thread = finding(node);
    if (thread.wait) link.wait_kind = thread.wait->kind;
    if (const pyframes::PyFrame* frame = innermost(joined(node))) {
      link.module = frame->module_name;
      link.function = frame->qualified_name.empty() ? frame->function : frame->qualified_name;
    }
    return link;
  }

  void finish(Cause& cause, std::span<const Node> links) {
    std::vector<CauseLink> described;
    for (const Node node : links) described.push_back(link_of(node));
    cause.fingerprint = fingerprint(cause.kind, described);
    cause.behind = nodes_behind(findings_.edges, cause.nodes);
    findings_.causes.push_back(std::move(cause));
  }

  void add_cycle(const std::vector<Node>& cycle) {
    Cause cause;
    cause.nodes = cycle;
    Grade grade;
    std::vector<std::string> kinds;
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      const Edge& link = *edge(cycle[i], cycle[(i + 1) % cycle.size()]);
      grade.certainty = std::min(grade.certainty, link.certainty);
      grade.timed = grade.timed || link.timed;
      kinds.push_back(link.kind);
      if (link.resource) cause.resources.push_back(*link.resource);
    }
    cause.certainty = grade.certainty;
    cause.kind = cycle_kind(kinds);
    cause.sentence = cycle_sentence(cycle, grade);
    cause.timed = grade.timed;
    finish(cause, cycle);
  }

  static std::string cycle_kind(std::span<const std::string> kinds) {
    const auto has = [&](std::string_view kind) {
      return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (has("gil")) return "gil-native-cycle";
    if (has("import")) return "import-cycle";
    if (has("join")) return "join-cycle";
    return kinds.size() == 1 ? "self-deadlock" : "lock-cycle";
  }

  std::string cycle_sentence(const std::vector<Node>& cycle, const Grade& grade) const {
    std::string text;
    const std::size_t shown = std::min(cycle.size(), sentence_threads);
    for (std::size_t i = 0; i < shown; ++i) {
      const Node node = cycle[i];
      const Node next = cycle[(i + 1) % cycle.size()];
      const Edge& link = *edge(node, next);
      const std::string lock = name_of(resource(link.resource));
      if (i == 0) text += joined(node).label() + place_of(joined(node)) + " waits for " + lock;
      if (i > 0) text += place_of(joined(node)) + " waits for " + lock;
      if (cycle.size() == 1) return text + ", which it holds itself" + ending(grade);
      text += (link.certainty == Certainty::recorded ? ", by its owner field held by " : ", held by ") +
              joined(next).label();
      if (i + 1 < shown) text += ", which";
    }
    if (shown < cycle.size()) {
      text += " … and so on through " + std::to_string(cycle.size()) + " threads back to the first";
    }
    return text + ending(grade);
  }

  static std::string ending(const Grade& grade) {
    if (grade.timed) return "; a time limit may end it";
    if (grade.certainty < Certainty::inferred) return "; not every link is sure";
    return "; nothing will end it";
  }

  void add_exited_owner(const Resource& resource) {
    if (resource.owner_state != OwnerState::exited || resource.waiters.empty()) return;
    Cause cause;
    cause.kind = "owner-exited";
    cause.certainty = resource.owner_certainty;
    cause.resources.push_back(resource.id);
    bool timed = true;
    for (const Node waiter : resource.waiters) {
      cause.nodes.push_back(waiter);
      const std::optional<Wait>& wait = finding(waiter).wait;
      timed = timed && (!wait || wait->timeout.value_or(true));
    }
    const Node first = cause.nodes.front();
    cause.sentence = joined(first).label() + place_of(joined(first)) + " waits for " + name_of(&resource) +
                     ", whose owner is no thread of this process any more" + ending({cause.certainty, timed});
    cause.timed = timed;
    finish(cause, std::span(&first, 1));
  }

  // Nobody can run, and yet there is no cycle: what the others queue behind sleeps on the outside.
  void add_stalls(const JudgedProcess& process) {
    const std::vector<ThreadFinding>& threads = process.findings->threads;
    const bool runs = std::any_of(threads.begin(), threads.end(),
                                  [](const ThreadFinding& each) { return each.status == Status::running; });
    for (const Resource& each : process.findings->resources) {
      if (!each.owner || each.waiters.empty() || !places_.contains(*each.owner)) continue;
      const ThreadFinding& owner = finding(*each.owner);
      const bool gil = each.kind == "GIL";
      const bool sleeps = gil ? owner.status != Status::running : owner.status == Status::waiting;
      if (!sleeps || (!gil && runs) || is_in_cause(owner.node)) continue;
      Certainty certainty = each.owner_certainty;
      for (const Node waiter : each.waiters) {
        if (const Edge* link = edge(waiter, owner.node)) {
          certainty = std::min(certainty, link->certainty);
        }
      }
      // Facts of threads that were not held may be of different moments.
      if (certainty < Certainty::recorded) continue;
      Cause cause;
      cause.kind = gil ? "gil-held-in-native" : "contention";
      cause.certainty = certainty;
      cause.nodes.push_back(owner.node);
      cause.resources.push_back(each.id);
      cause.sentence = "at this moment " + std::to_string(each.waiters.size()) +
                       (each.waiters.size() == 1 ? " thread waits" : " threads wait") + " for " +
                       name_of(&each) + ", held by " + joined(owner.node).label() +
                       place_of(joined(owner.node)) + ", which itself waits" +
                       (owner.wait ? " (" + owner.wait->kind + ")" : "");
      finish(cause, std::span(&owner.node, 1));
    }
  }

  bool is_in_cause(Node node) const {
    return std::any_of(findings_.causes.begin(), findings_.causes.end(), [&](const Cause& cause) {
      return std::find(cause.nodes.begin(), cause.nodes.end(), node) != cause.nodes.end();
    });
  }

  static Verdict verdict_of(const Cause& cause) {
    if (cause.kind == "gil-held-in-native" || cause.kind == "contention") return Verdict::stalled;
    const bool sure = cause.certainty >= Certainty::inferred && !cause.timed;
    return sure ? Verdict::deadlock : Verdict::possible_deadlock;
  }

  // Without a cause: what the threads do, and whether enough is known to say so.
  std::pair<Verdict, std::string> judge_threads(const JudgedProcess& process) const {
    std::size_t running = 0, waiting = 0, idle = 0, blocked = 0, owner_unknown = 0, wait_unknown = 0;
    std::size_t known = 0, for_gil = 0;
    const std::vector<ThreadFinding>& threads = process.findings->threads;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const ThreadFinding& thread = threads[i];
      if (thread.status == Status::running) ++running;
      if (process.threads[i].python == nullptr) continue;  // native threads have their own reasons to sleep
      ++known;
      waiting += thread.status == Status::waiting ? 1 : 0;
      idle += thread.status == Status::idle ? 1 : 0;
      blocked += thread.status == Status::blocked ? 1 : 0;
      for_gil += thread.wait && thread.wait->kind == "gil" ? 1 : 0;
      if (process.threads[i].os == nullptr || (thread.wait && thread.wait->kind == "unknown")) ++wait_unknown;
      owner_unknown += needs_owner(thread) ? 1 : 0;
    }
    const std::string blocked_too =
        blocked > for_gil ? ", " + std::to_string(blocked - for_gil) + " of them blocked" : "";
    if (running > 0) {
      std::string what = std::to_string(running) + (running == 1 ? " thread runs" : " threads run");
      const std::size_t others = threads.size() - running;
      if (others > 0)
        what += ", " + std::to_string(others) + (others == 1 ? " waits" : " wait") + blocked_too;
      return {Verdict::running, what};
    }
    if (known == 0) return {Verdict::unknown, "no Python thread could be read"};
    if (for_gil > 0) {
      return {Verdict::running, "no thread runs at this moment, and " + std::to_string(for_gil) +
                                    (for_gil == 1 ? " is" : " are") + " about to take the GIL"};
    }
    if (wait_unknown > 0) {
      return {Verdict::unknown, "no thread runs, and what " + std::to_string(wait_unknown) + " of " +
                                    std::to_string(known) + " wait for could not be told"};
    }
    if (owner_unknown > 0 || waiting + idle == 0) {
      const std::size_t count = owner_unknown > 0 ? owner_unknown : blocked;
      return {Verdict::unknown, "no thread runs, and whom " + std::to_string(count) + " of " +
                                    std::to_string(known) + " threads wait for is not known"};
    }
    std::string what = "no thread runs:";
    const auto add = [&](std::size_t count, std::string_view one, std::string_view many) {
      if (count == 0) return;
      if (what.back() != ':') what += ',';
      what += ' ' + std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
    };
    add(waiting, "waits for the outside", "wait for the outside");
    add(idle, "is idle", "are idle");
    add(blocked, "waits for another", "wait for others");
    return {Verdict::waiting, what};
  }

  // It waits for something that somebody must own, and nobody is known to.
  bool needs_owner(const ThreadFinding& thread) const {
    if (thread.status != Status::blocked || !thread.wait) return false;
    const std::string& kind = thread.wait->kind;
    if (kind != "lock" && kind != "rlock" && kind != "futex" && kind != "import") return false;
    const Resource* waited = resource(thread.wait->resource);
    return waited == nullptr || !waited->owner;
  }

  void judge_process(const JudgedProcess& process) const {
    ProcessFindings& own = *process.findings;
    std::size_t others = 0;
    const Cause* gravest = nullptr;
    for (const Cause& cause : findings_.causes) {
      const bool is_own =
          std::any_of(cause.nodes.begin(), cause.nodes.end(), [&](Node node) { return node.pid == own.pid; });
      if (!is_own) continue;
      if (gravest == nullptr) {
        gravest = &cause;
      } else {
        ++others;
      }
    }
    if (gravest == nullptr) {
      std::tie(own.verdict, own.summary) = judge_threads(process);
      return;
    }
    own.verdict = verdict_of(*gravest);
    own.summary = gravest->sentence;
    if (others > 0) own.summary += "; and " + std::to_string(others) + " more";
    own.fingerprint = gravest->fingerprint;
  }

  void judge_whole() {
    if (processes_.empty()) {
      findings_.verdict = Verdict::unknown;
      findings_.summary = "no process could be looked at";
      return;
    }
    const ProcessFindings* worst = processes_[0].findings;
    for (const JudgedProcess& process : processes_) {
      if (process.findings->verdict > worst->verdict) worst = process.findings;
    }
    findings_.verdict = worst->verdict;
    findings_.summary = worst->summary;
    findings_.fingerprint = worst->fingerprint;
    if (processes_.size() > 1) findings_.summary.insert(0, "process " + std::to_string(worst->pid) + ": ");
  }

  std::span<const JudgedProcess> processes_;
  Findings& findings_;
  std::map<Node, ThreadPlace> places_;
  std::unordered_map<std::string, const Resource*> resources_;
  std::map<std::pair<Node, Node>, const Edge*> edges_;
};

}  // namespace

void judge(std::span<const JudgedProcess> processes, Findings& findings) {
  Judgement(processes, findings).run();
}

}  // namespace pythreads::report
