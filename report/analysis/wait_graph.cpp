#include "report/analysis/wait_graph.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace pythreads::report {
namespace {

using pyframes::PyHeldLock;
using pyframes::PyHoldTrust;
using pyframes::PySyncKind;
using pyframes::PySyncObject;

Certainty certainty_of(PyHoldTrust trust) {
  switch (trust) {
    case PyHoldTrust::certain:
      return Certainty::certain;
    case PyHoldTrust::inferred:
      return Certainty::inferred;
    case PyHoldTrust::likely:
      return Certainty::likely;
  }
  return Certainty::possible;
}

const PyHeldLock* find_held(const pyframes::PyThread& thread, attach::Address object) {
  const PyHeldLock* best = nullptr;
  for (const PyHeldLock& held : thread.held) {
    if (held.object != object) continue;
    if (best == nullptr || certainty_of(held.trust) > certainty_of(best->trust)) best = &held;
  }
  return best;
}

class GraphBuilder {
 public:
  GraphBuilder(const Snapshot& snapshot, std::span<const JoinedThread> threads, ProcessFindings& findings)
      : snapshot_(snapshot), threads_(threads), findings_(findings) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      if (threads[i].python != nullptr) by_ident_.emplace(threads[i].python->ident, i);
    }
  }

  std::vector<Edge> build() {
    for (std::size_t i = 0; i < threads_.size(); ++i) add_lock_wait(i);
    for (std::size_t i = 0; i < threads_.size(); ++i) add_holds(i);
    for (const auto& [address, index] : locks_) find_lock_owner(address, index);
    add_gils();
    return make_edges();
  }

 private:
  Resource& resource_at(attach::Address address, std::string_view kind) {
    const auto [found, added] = locks_.try_emplace(address, findings_.resources.size());
    if (added) new_resource(address, kind);
    return findings_.resources[found->second];
  }

  Resource& new_resource(attach::Address address, std::string_view kind) {
    Resource resource;
    resource.id = std::to_string(findings_.pid) + ":r" + std::to_string(findings_.resources.size() + 1);
    resource.kind = kind;
    resource.address = address;
    return findings_.resources.emplace_back(std::move(resource));
  }

  std::string_view kind_of(attach::Address address) const {
    const PySyncObject* object = pyframes::find_sync_object(snapshot_.runtime, address);
    return object != nullptr && object->kind == PySyncKind::rlock ? "RLock" : "Lock";
  }

  void add_lock_wait(std::size_t index) {
    ThreadFinding& finding = findings_.threads[index];
    const pyframes::PyThread* python = threads_[index].python;
    if (!finding.wait || python == nullptr || !python->lock_wait) return;
    if (finding.wait->kind != "lock" && finding.wait->kind != "rlock") return;
    const PySyncObject* object = threads_[index].slept_on();
    if (object == nullptr) return;
    Resource& resource = resource_at(object->address, kind_of(object->address));
    resource.locked = object->locked;
    if (object->count) resource.count = object->count;
    resource.waiters.push_back(finding.node);
    finding.wait->resource = resource.id;
    lock_waits_.emplace(object->address, object);
  }

  void add_holds(std::size_t index) {
    const pyframes::PyThread* python = threads_[index].python;
    if (python == nullptr) return;
    std::vector<attach::Address> seen;
    for (const PyHeldLock& any : python->held) {
      if (std::find(seen.begin(), seen.end(), any.object) != seen.end()) continue;
      seen.push_back(any.object);
      const PyHeldLock& held = *find_held(*python, any.object);
      const Resource& resource = resource_at(held.object, kind_of(held.object));
      findings_.threads[index].holds.push_back(
          {resource.id,
           certainty_of(held.trust),
           {held.rule, held.evidence},
           held.frame,
           {held.acquired.file, held.acquired.line, held.acquired.function}});
      holders_[held.object].push_back(index);
    }
  }

  void find_lock_owner(attach::Address address, std::size_t resource_index) {
    Resource& resource = findings_.resources[resource_index];
    const auto waited = lock_waits_.find(address);
    const PySyncObject* wait = waited == lock_waits_.end() ? nullptr : waited->second;
    if (wait != nullptr && !wait->locked.value_or(true)) {
      resource.owner_state = OwnerState::none;
      return;
    }
    if (wait != nullptr && wait->kind == PySyncKind::rlock) {
      if (!wait->owner_ident) {
        resource.owner_state = OwnerState::none;
      } else {
        find_owner_by_field(resource, *wait);
      }
      return;
    }
    find_owner_by_frames(resource, address);
  }

  // An ident is pthread_self(), which glibc gives to a new thread again once its stack is free: the field
  // alone may name a thread that never took the lock. What that thread's own frames say settles it.
  void find_owner_by_field(Resource& resource, const PySyncObject& wait) {
    const auto found = by_ident_.find(*wait.owner_ident);
    if (found == by_ident_.end()) {
      find_owner_without_state(resource, *wait.owner_ident);
      return;
    }
    const JoinedThread& owner = threads_[found->second];
    set_owner(resource, owner, Certainty::recorded,
              {"rlock-owner-field",
               "the RLock's owner field holds this thread's ident; nothing in the thread's "
               "own frames bears it out, and idents are used again"});
    if (const PyHeldLock* held = find_held(*owner.python, wait.address)) {
      resource.owner_certainty =
          held->trust == PyHoldTrust::likely ? Certainty::inferred : Certainty::certain;
      resource.owner_evidence = {
          "rlock-owner-field+" + held->rule,
          "the RLock's owner field holds this thread's ident, and its own frames bear it out: " +
              held->evidence};
    }
  }

  void find_owner_without_state(Resource& resource, std::uint64_t ident) {
    for (const JoinedThread& thread : threads_) {
      if (thread.python != nullptr || thread.os == nullptr || !thread.os->os.registers) continue;
      if (thread.os->os.registers->fs_base != ident) continue;
      set_owner(resource, thread, Certainty::recorded,
                {"rlock-owner-field", "the RLock's owner field holds this native thread's pthread_self()"});
      return;
    }
    if (is_complete()) {
      resource.owner_state = OwnerState::exited;
      resource.owner_certainty = Certainty::inferred;
      resource.owner_evidence = {"rlock-owner-gone",
                                 "no thread of the process has the ident in the RLock's owner field"};
    } else {
      resource.owner_state = OwnerState::not_recorded;
      resource.owner_evidence = {
          "rlock-owner-not-found",
          "the RLock's owner field names a thread that is not among those that were read"};
    }
  }

  bool is_complete() const {
    for (const pyframes::PyInterpreter& interpreter : snapshot_.runtime.interpreters) {
      if (!interpreter.threads_gap.empty()) return false;
    }
    return std::all_of(snapshot_.threads.begin(), snapshot_.threads.end(), [](const SnapshotThread& thread) {
      return thread.os.is_held() || thread.os.outcome == attach::StopOutcome::exited;
    });
  }

  void find_owner_by_frames(Resource& resource, attach::Address address) {
    const auto found = holders_.find(address);
    if (found == holders_.end()) return;
    std::size_t sure = 0;
    std::size_t owner = 0;
    for (const std::size_t index : found->second) {
      if (certainty_of(find_held(*threads_[index].python, address)->trust) >= Certainty::inferred) {
        ++sure;
        owner = index;
      }
    }
    if (sure == 1) {
      const PyHeldLock& held = *find_held(*threads_[owner].python, address);
      set_owner(resource, threads_[owner], certainty_of(held.trust), {held.rule, held.evidence});
      return;
    }
    if (found->second.size() == 1) {
      const PyHeldLock& held = *find_held(*threads_[found->second[0]].python, address);
      set_owner(resource, threads_[found->second[0]], Certainty::likely, {held.rule, held.evidence});
      return;
    }
    // A Lock has one holder. Where several seem to hold it, none is believed.
    for (const std::size_t index : found->second) {
      const PyHeldLock& held = *find_held(*threads_[index].python, address);
      resource.candidates.push_back({findings_.threads[index].node, {held.rule, held.evidence}});
      for (Hold& hold : findings_.threads[index].holds) {
        if (hold.resource == resource.id) hold.certainty = std::min(hold.certainty, Certainty::likely);
      }
    }
  }

  void set_owner(Resource& resource, const JoinedThread& owner, Certainty certainty, Evidence evidence) {
    resource.owner = Node{owner.pid, owner.tid()};
    resource.owner_certainty = certainty;
    resource.owner_evidence = std::move(evidence);
    resource.owner_state = OwnerState::alive;
    if (!resource.locked && certainty >= Certainty::recorded) resource.locked = true;
  }

  void add_gils() {
    std::unordered_map<attach::Address, std::size_t> seen;  // interpreters may share one
    for (const pyframes::PyInterpreter& interpreter : snapshot_.runtime.interpreters) {
      if (!interpreter.gil || !seen.try_emplace(interpreter.gil->address, 0).second) continue;
      add_gil(*interpreter.gil);
    }
  }

  void add_gil(const pyframes::PyGil& gil) {
    std::vector<std::size_t> waiters;
    const JoinedThread* holder = nullptr;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const JoinedThread& thread = threads_[i];
      if (thread.python == nullptr || !thread.interpreter->gil ||
          thread.interpreter->gil->address != gil.address) {
        continue;
      }
      const bool holds = gil.locked && thread.python->tstate == gil.holder;
      if (holds) {
        holder = &thread;
        findings_.threads[i].gil = GilRole::holds;
        // It was handed over a moment ago, and the new holder has not left its futex call yet: it runs.
        if (findings_.threads[i].wait && findings_.threads[i].wait->kind == "gil") {
          findings_.threads[i].wait.reset();
          findings_.threads[i].status = Status::running;
        }
      } else if (thread.python->waits_for_gil) {
        findings_.threads[i].gil = GilRole::waits;
        waiters.push_back(i);
      }
    }
    if (!gil.locked && waiters.empty()) return;

    Resource& resource = new_resource(gil.address, "GIL");
    resource.locked = gil.locked;
    resource.owner_state = gil.locked ? OwnerState::not_recorded : OwnerState::none;
    if (holder != nullptr) {
      set_owner(resource, *holder, Certainty::certain,
                {"gil-last-holder", "the GIL is locked, and its last holder is this thread's state"});
    }
    for (const std::size_t index : waiters) {
      resource.waiters.push_back(findings_.threads[index].node);
      if (findings_.threads[index].wait) findings_.threads[index].wait->resource = resource.id;
    }
  }

  std::vector<Edge> make_edges() const {
    std::unordered_map<std::string, const Resource*> by_id;
    for (const Resource& resource : findings_.resources) by_id.emplace(resource.id, &resource);
    std::map<Node, bool> held;
    for (std::size_t i = 0; i < threads_.size(); ++i) held[findings_.threads[i].node] |= threads_[i].held();

    std::vector<Edge> edges;
    for (const ThreadFinding& thread : findings_.threads) {
      if (!thread.wait || !thread.wait->resource) continue;
      const Resource& resource = *by_id.at(*thread.wait->resource);
      if (!resource.owner) continue;
      // CPython lets an RLock's owner take it again, so this thread's field and its wait contradict each
      // other.
      if (resource.kind == "RLock" && *resource.owner == thread.node) continue;
      Edge edge{thread.node,
                *resource.owner,
                resource.id,
                thread.wait->kind,
                std::min(thread.wait->certainty, resource.owner_certainty),
                thread.wait->timeout.value_or(true)};
      if (!held[edge.from] || !held[edge.to]) edge.certainty = std::min(edge.certainty, Certainty::likely);
      edges.push_back(std::move(edge));
    }
    return edges;
  }

  const Snapshot& snapshot_;
  std::span<const JoinedThread> threads_;
  ProcessFindings& findings_;
  std::unordered_map<std::uint64_t, std::size_t> by_ident_;
  std::map<attach::Address, std::size_t> locks_;  // ordered, so that the output is
  std::unordered_map<attach::Address, const PySyncObject*> lock_waits_;
  std::unordered_map<attach::Address, std::vector<std::size_t>> holders_;
};

}  // namespace

std::vector<Edge> build_wait_graph(const Snapshot& snapshot, std::span<const JoinedThread> threads,
                                   ProcessFindings& findings) {
  return GraphBuilder(snapshot, threads, findings).build();
}

}  // namespace pythreads::report
