#include "report/analysis/owners.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "report/analysis/owner_rules.h"

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

bool is_import_frame(const pyframes::PyFrame& frame) {
  return frame.module_name == "importlib._bootstrap" || frame.module_name == "_frozen_importlib";
}

class Owners {
 public:
  Owners(const Snapshot& snapshot, std::span<const JoinedThread> threads, ResourceTable& resources,
         ProcessFindings& findings)
      : snapshot_(snapshot), threads_(threads), resources_(resources), findings_(findings) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      if (threads[i].python != nullptr) by_ident_.emplace(threads[i].python->ident, i);
    }
  }

  void run() {
    for (std::size_t i = 0; i < threads_.size(); ++i) add_holds(i);
    for (std::size_t i = 0; i < resources_.size(); ++i) find_owner(i);
    for (std::size_t i = 0; i < threads_.size(); ++i) add_mentions(i);
  }

 private:
  void add_holds(std::size_t index) {
    const pyframes::PyThread* python = threads_[index].python;
    if (python == nullptr) return;
    std::vector<attach::Address> seen;
    for (const PyHeldLock& any : python->held) {
      if (std::find(seen.begin(), seen.end(), any.object) != seen.end()) continue;
      seen.push_back(any.object);
      const PyHeldLock& held = *find_held(*python, any.object);
      const std::size_t resource = resources_.of_object(held.object);
      findings_.threads[index].holds.push_back(
          {resources_.at(resource).id,
           certainty_of(held.trust),
           {held.rule, held.evidence},
           held.frame,
           {held.acquired.file, held.acquired.line, held.acquired.function}});
      holders_[resource].push_back(index);
    }
  }

  void find_owner(std::size_t index) {
    Resource& resource = resources_.at(index);
    const PySyncObject* object = resources_.object_of(index);
    if (object == nullptr || resource.owner) return;
    switch (object->kind) {
      case PySyncKind::thread:
        return find_joined(resource, *object);
      case PySyncKind::future:
        return find_runner(resource, *object);
      case PySyncKind::rlock:
      case PySyncKind::buffered:
      case PySyncKind::module_lock:
      case PySyncKind::sem_lock:
      case PySyncKind::stop_the_world:
      case PySyncKind::stop_event:
      case PySyncKind::event_loop:
        return find_by_field(index, *object);
      case PySyncKind::lock:
        if (object->thread_ident) return find_joined(resource, *object);
        if (!object->locked.value_or(true)) {
          resource.owner_state = OwnerState::none;
          return;
        }
        return find_by_frames(index);
      case PySyncKind::object_mutex:
      case PySyncKind::c_object:
      case PySyncKind::pymutex:
        return find_by_frames(index);
      case PySyncKind::semaphore:
      case PySyncKind::bounded_semaphore:
        return list_permits(index);
      case PySyncKind::condition:
      case PySyncKind::event:
      case PySyncKind::barrier:
      case PySyncKind::queue:
      case PySyncKind::simple_queue:
      case PySyncKind::executor:
        resource.owner_state = OwnerState::none;
        return;
    }
  }

  void find_joined(Resource& resource, const PySyncObject& object) {
    const auto found = object.thread_ident ? by_ident_.find(*object.thread_ident) : by_ident_.end();
    if (found == by_ident_.end()) {
      resource.owner_state = object.finished.value_or(false) ? OwnerState::exited : OwnerState::not_recorded;
      return;
    }
    set_owner(resource, threads_[found->second], Certainty::certain,
              {owner_rule::thread_itself, "what is waited for is the end of this very thread"});
  }

  // The worker that runs it has a frame of _WorkItem.run whose item is of this future.
  void find_runner(Resource& resource, const PySyncObject& object) {
    resource.owner_state = OwnerState::none;
    if (object.finished.value_or(false)) return;
    for (const JoinedThread& thread : threads_) {
      if (thread.python == nullptr) continue;
      for (const pyframes::PyFrameObject& each : thread.python->frame_objects) {
        if (each.object != object.address || each.variable != "self.future") continue;
        set_owner(
            resource, thread, Certainty::certain,
            {owner_rule::runs_work_item, "one of this thread's frames runs the work item of this future"});
        return;
      }
    }
  }

  // An ident is pthread_self(), which glibc gives to a new thread again once its stack is free: the field
  // alone may name a thread that never took the lock. What that thread's own frames say settles it.
  void find_by_field(std::size_t index, const PySyncObject& object) {
    Resource& resource = resources_.at(index);
    if (!object.owner_ident) {
      if (object.kind == PySyncKind::sem_lock && object.locked.value_or(false)) {
        resource.owner_state = OwnerState::other_process;
      } else {
        resource.owner_state = OwnerState::none;
      }
      return;
    }
    const auto found = by_ident_.find(*object.owner_ident);
    if (found == by_ident_.end()) return find_owner_without_state(resource, object);
    const JoinedThread& owner = threads_[found->second];
    set_owner(resource, owner, Certainty::recorded,
              {field_rule(object), "the " + resource.kind +
                                       "'s owner field holds this thread's ident; nothing in the thread's "
                                       "own frames bears it out, and idents are used again"});
    const auto bear_out = [&](Certainty certainty, const std::string& rule, const std::string& text) {
      resource.owner_certainty = certainty;
      resource.owner_evidence = {rule, text};
    };
    if (const PyHeldLock* held = find_held(*owner.python, object.address)) {
      bear_out(
          held->trust == PyHoldTrust::likely ? Certainty::inferred : Certainty::certain,
          field_rule(object) + "+" + held->rule,
          "the " + resource.kind +
              "'s owner field holds this thread's ident, and its own frames bear it out: " + held->evidence);
    } else if (object.kind == PySyncKind::stop_the_world) {
      bear_out(Certainty::certain, owner_rule::world_stopped_by,
               "the world's stop was requested by this thread");
    } else if (object.kind == PySyncKind::stop_event) {
      bear_out(Certainty::certain, owner_rule::still_attached,
               "the world's stop waits for this thread, whose state says that it is attached");
    } else if (object.kind == PySyncKind::module_lock &&
               std::any_of(owner.python->frames.begin(), owner.python->frames.end(), is_import_frame)) {
      bear_out(Certainty::certain, field_rule(object) + "+importing",
               "the import lock's owner field holds this thread's ident, and the thread is importing");
    } else if (object.kind == PySyncKind::buffered) {
      // It is held only inside one call of the stream, and cleared at its end.
      bear_out(Certainty::certain, field_rule(object),
               "the stream's owner field holds this thread's ident: it is inside one of the stream's calls");
    }
  }

  static std::string field_rule(const PySyncObject& object) {
    switch (object.kind) {
      case PySyncKind::rlock:
        return owner_rule::rlock_field;
      case PySyncKind::buffered:
        return owner_rule::stream_field;
      case PySyncKind::module_lock:
        return owner_rule::import_lock_field;
      case PySyncKind::sem_lock:
        return owner_rule::sem_lock_field;
      default:
        return "owner-field";
    }
  }

  void find_owner_without_state(Resource& resource, const PySyncObject& object) {
    for (const JoinedThread& thread : threads_) {
      if (thread.python != nullptr || thread.os == nullptr || !thread.os->os.registers) continue;
      if (thread.os->os.registers->pthread_self != *object.owner_ident) continue;
      set_owner(resource, thread, Certainty::recorded,
                {field_rule(object), "the owner field holds this native thread's pthread_self()"});
      return;
    }
    if (!is_complete()) {
      resource.owner_state = OwnerState::not_recorded;
      resource.owner_evidence = {"owner-not-found",
                                 "the owner field names a thread that is not among those that were read"};
      return;
    }
    // Whoever has it, in whatever process, may release it; and a forked child has a copy of the field alone.
    if (object.kind == PySyncKind::sem_lock) {
      resource.owner_state = OwnerState::not_recorded;
      resource.owner_evidence = {"owner-not-found",
                                 "no thread of the process has the ident in the owner field, and another "
                                 "process may have the semaphore"};
      return;
    }
    const bool forked = snapshot_.process.forked_from.has_value();
    resource.owner_state = forked ? OwnerState::before_fork : OwnerState::exited;
    resource.owner_certainty = Certainty::inferred;
    resource.owner_evidence = {
        forked ? "owner-before-fork" : "owner-gone",
        forked ? "no thread of the process has the ident in the owner field, and the process was forked from "
                 "one that had threads: a fork copies the lock and not its holder"
               : "no thread of the process has the ident in the owner field"};
  }

  bool is_complete() const {
    for (const pyframes::PyInterpreter& interpreter : snapshot_.runtime.interpreters) {
      if (!interpreter.threads_gap.empty()) return false;
    }
    return std::all_of(snapshot_.threads.begin(), snapshot_.threads.end(), [](const SnapshotThread& thread) {
      return thread.os.is_held() || thread.os.outcome == attach::StopOutcome::exited;
    });
  }

  // A thread that waits for the lock and seems to have taken it by an acquire uses it as a signal.
  bool is_own_signal(std::size_t thread, const Resource& resource, const PyHeldLock& held) const {
    const std::optional<Wait>& wait = findings_.threads[thread].wait;
    return held.trust == PyHoldTrust::likely && wait && wait->resource == resource.id;
  }

  void find_by_frames(std::size_t index) {
    const auto found = holders_.find(index);
    if (found == holders_.end()) return;
    Resource& resource = resources_.at(index);
    std::vector<std::pair<std::size_t, const PyHeldLock*>> sure, all;
    for (const std::size_t thread : found->second) {
      const PyHeldLock* held = find_held(*threads_[thread].python, resource.address);
      if (is_own_signal(thread, resource, *held)) continue;
      all.emplace_back(thread, held);
      if (certainty_of(held->trust) >= Certainty::inferred) sure.push_back(all.back());
    }
    const auto& believed = sure.empty() ? all : sure;
    if (believed.size() == 1) {
      const auto& [thread, held] = believed.front();
      set_owner(resource, threads_[thread], certainty_of(held->trust), {held->rule, held->evidence});
      return;
    }
    // A Lock has one holder. Where several seem to hold it, one whose block is open is likely the one, and of
    // two such none is believed.
    const auto is_certain = [](const auto& each) { return each.second->trust == PyHoldTrust::certain; };
    if (std::count_if(sure.begin(), sure.end(), is_certain) == 1) {
      const auto& [thread, held] = *std::find_if(sure.begin(), sure.end(), is_certain);
      set_owner(resource, threads_[thread], Certainty::likely,
                {held->rule, held->evidence + "; but another thread seems to hold it as well"});
    }
    for (const auto& [thread, held] : all) {
      if (resource.owner == findings_.threads[thread].node) {
        doubt(thread, resource);
        continue;
      }
      resource.candidates.push_back({findings_.threads[thread].node, {held->rule, held->evidence}});
      doubt(thread, resource);
    }
  }

  void doubt(std::size_t thread, const Resource& resource) {
    for (Hold& hold : findings_.threads[thread].holds) {
      if (hold.resource == resource.id) hold.certainty = std::min(hold.certainty, Certainty::likely);
    }
  }

  // Each holder has one permit; none of them owns the semaphore.
  void list_permits(std::size_t index) {
    Resource& resource = resources_.at(index);
    resource.owner_state = OwnerState::none;
    const auto found = holders_.find(index);
    if (found == holders_.end()) return;
    for (const std::size_t thread : found->second) {
      const PyHeldLock* held = find_held(*threads_[thread].python, resource.address);
      resource.candidates.push_back({findings_.threads[thread].node, {held->rule, held->evidence}});
    }
  }

  void add_mentions(std::size_t index) {
    const pyframes::PyThread* python = threads_[index].python;
    if (python == nullptr) return;
    for (const pyframes::PyMention& mention : python->mentions) {
      const auto place = std::find_if(findings_.resources.begin(), findings_.resources.end(),
                                      [&](const Resource& each) { return each.address == mention.object; });
      if (place == findings_.resources.end() || place->owner) continue;
      const bool known =
          std::any_of(place->candidates.begin(), place->candidates.end(),
                      [&](const Candidate& each) { return each.node == findings_.threads[index].node; });
      if (known) continue;
      const std::string where =
          mention.frame < python->frames.size() ? " in " + python->frames[mention.frame].function : "";
      place->candidates.push_back(
          {findings_.threads[index].node,
           {owner_rule::mentioned, "its frame" + where + " refers to the lock as " + mention.expression +
                                       "; whether it holds it is not known"}});
    }
  }

  void set_owner(Resource& resource, const JoinedThread& owner, Certainty certainty, Evidence evidence) {
    // One that was not stopped with the others may have given it back while these were read.
    if (owner.os != nullptr && !owner.held()) certainty = std::min(certainty, Certainty::inferred);
    resource.owner = Node{owner.pid, owner.tid()};
    resource.owner_certainty = certainty;
    resource.owner_evidence = std::move(evidence);
    resource.owner_state = OwnerState::alive;
    const bool lock =
        resource.kind == "Lock" || resource.kind == "RLock" || resource.kind == "critical-section";
    if (lock && !resource.locked && certainty >= Certainty::recorded) resource.locked = true;
  }

  const Snapshot& snapshot_;
  std::span<const JoinedThread> threads_;
  ResourceTable& resources_;
  ProcessFindings& findings_;
  std::unordered_map<std::uint64_t, std::size_t> by_ident_;
  std::map<std::size_t, std::vector<std::size_t>> holders_;  // by resource
};

}  // namespace

void find_owners(const Snapshot& snapshot, std::span<const JoinedThread> threads, ResourceTable& resources,
                 ProcessFindings& findings) {
  Owners(snapshot, threads, resources, findings).run();
}

}  // namespace pythreads::report
