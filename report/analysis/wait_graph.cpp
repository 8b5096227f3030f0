#include "report/analysis/wait_graph.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "report/analysis/native_locks.h"
#include "report/analysis/owner_rules.h"
#include "report/analysis/owners.h"
#include "report/analysis/resource_table.h"

namespace pythreads::report {
namespace {

using pyframes::PySyncKind;
using pyframes::PySyncObject;

// Which calls of another thread would end a wait of this kind.
struct Notifier {
  std::string_view wait;
  std::array<std::string_view, 3> methods;
};
constexpr std::array notifiers{
    Notifier{"condition", {"notify", "notify_all", "notifyAll"}},
    Notifier{"event", {"set"}},
    Notifier{"semaphore", {"release"}},
    Notifier{"barrier", {"wait", "abort", "reset"}},
    Notifier{"queue-get", {"put", "put_nowait"}},
    Notifier{"queue-put", {"get", "get_nowait"}},
    Notifier{"queue-join", {"task_done"}},
    Notifier{"future", {"set_result", "set_exception", "cancel"}},
};

class GraphBuilder {
 public:
  GraphBuilder(const Snapshot& snapshot, std::span<const JoinedThread> threads,
               std::span<const Classification> classified, ProcessFindings& findings)
      : snapshot_(snapshot),
        threads_(threads),
        classified_(classified),
        findings_(findings),
        resources_(snapshot.runtime, findings) {}

  WaitGraph build() {
    for (std::size_t i = 0; i < threads_.size(); ++i) add_wait(i);
    find_owners(snapshot_, threads_, resources_, findings_);
    add_gils();
    for (std::size_t i = 0; i < threads_.size(); ++i) held_[findings_.threads[i].node] |= threads_[i].held();
    for (std::size_t i = 0; i < findings_.resources.size(); ++i) by_id_.emplace(findings_.resources[i].id, i);
    for (std::size_t i = 0; i < threads_.size(); ++i) add_edges(i);
    return {std::move(edges_), std::move(ways_out_)};
  }

 private:
  // ---- what each thread waits for

  void add_wait(std::size_t index) {
    ThreadFinding& finding = findings_.threads[index];
    const Classification& classified = classified_[index];
    if (!finding.wait || classified.rule == nullptr) return;
    std::optional<std::size_t> resource;
    switch (classified.rule->resource) {
      case ResourceAt::none:
        return;
      case ResourceAt::slept_on:
      case ResourceAt::variable:
        if (classified.object.is_null()) return;
        resource = resources_.of_object(classified.object);
        for (const attach::Address each : classified.pending) {
          Resource& pending = resources_.at(resources_.of_object(each));
          if (each != classified.object) pending.waiters.push_back(finding.node);
        }
        break;
      case ResourceAt::native_mutex:
      case ResourceAt::native_rwlock:
      case ResourceAt::word:
        resource = add_native(index, classified.rule->resource, finding.wait->kind);
        break;
    }
    if (!resource) return;
    finding.wait->resource = resources_.at(*resource).id;
    resources_.at(*resource).waiters.push_back(finding.node);
    if (finding.wait->kind == "idle") add_pool_detail(*resource);
  }

  std::optional<std::size_t> add_native(std::size_t index, ResourceAt where, std::string_view wait) {
    const attach::FutexWait& futex = *threads_[index].os->os.futex;
    if (where == ResourceAt::word)
      return resources_.of_word(futex.word, wait == "native-mutex" ? "pthread-mutex" : "pthread-cond");
    const bool mutex = where == ResourceAt::native_mutex;
    const std::optional<NativeLock> lock = mutex ? mutex_at(futex) : rwlock_at(futex);
    if (!lock) return resources_.of_word(futex.word, mutex ? "pthread-mutex" : "pthread-rwlock");
    const std::size_t place = resources_.of_word(lock->address, mutex ? "pthread-mutex" : "pthread-rwlock");
    Resource& resource = resources_.at(place);
    resource.locked = true;
    if (lock->owner == 0) return place;
    if (futex.shared) {
      resource.owner_evidence = {"native-owner-elsewhere",
                                 "the lock is shared between processes, and its owner field holds the tid of "
                                 "no thread of this one"};
    } else {
      resource.owner_state = OwnerState::exited;
      resource.owner_certainty = Certainty::inferred;
      resource.owner_evidence = {"native-owner-gone", "no thread has the tid in the lock's owner field"};
    }
    for (const JoinedThread& thread : threads_) {
      if (thread.os == nullptr || thread.os->os.namespace_tid != lock->owner) continue;
      resource.owner = Node{thread.pid, thread.tid()};
      resource.owner_state = OwnerState::alive;
      resource.owner_certainty = Certainty::certain;
      resource.owner_evidence = {mutex ? owner_rule::native_mutex : owner_rule::native_rwlock,
                                 "the lock's owner field holds this thread's tid"};
      break;
    }
    return place;
  }

  // {max_workers, queued, idle} beside a pool's work queue.
  void add_pool_detail(std::size_t index) {
    Resource& queue = resources_.at(index);
    std::int64_t idle = 0;
    for (const ThreadFinding& finding : findings_.threads)
      idle += finding.wait && finding.wait->kind == "idle" && finding.wait->resource == queue.id ? 1 : 0;
    queue.detail.clear();
    for (const PySyncObject& object : snapshot_.runtime.sync_objects) {
      if (object.kind != PySyncKind::executor || object.queue != queue.address) continue;
      if (object.capacity) queue.detail.push_back({"max_workers", *object.capacity});
    }
    if (queue.count) queue.detail.push_back({"queued", *queue.count});
    queue.detail.push_back({"idle", idle});
  }

  // ---- the GIL

  void add_gils() {
    std::set<attach::Address> seen;  // interpreters may share one
    for (const pyframes::PyInterpreter& interpreter : snapshot_.runtime.interpreters) {
      if (!interpreter.gil || !seen.insert(interpreter.gil->address).second) continue;
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

    Resource& resource = resources_.at(resources_.of_word(gil.address, "GIL"));
    resource.locked = gil.locked;
    resource.owner_state = gil.locked ? OwnerState::not_recorded : OwnerState::none;
    if (holder != nullptr) {
      resource.owner = Node{holder->pid, holder->tid()};
      resource.owner_certainty = Certainty::certain;
      resource.owner_state = OwnerState::alive;
      resource.owner_evidence = {owner_rule::gil_holder,
                                 "the GIL is locked, and its last holder is this thread's state"};
    }
    for (const std::size_t index : waiters) {
      resource.waiters.push_back(findings_.threads[index].node);
      if (findings_.threads[index].wait) findings_.threads[index].wait->resource = resource.id;
    }
  }

  // ---- who waits for whom

  void add_edges(std::size_t index) {
    ThreadFinding& thread = findings_.threads[index];
    if (!thread.wait || !thread.wait->resource || thread.status == Status::idle) return;
    if (is_woken(index)) return;
    std::vector<attach::Address> objects = classified_[index].pending;
    if (objects.empty()) {
      const Resource* resource = find_resource(*thread.wait->resource);
      if (resource == nullptr) return;
      add_edges_for(thread, *resource, false);
      if (resource->kind == "Thread" && resource->owner) thread.wait->target = resource->owner;
      return;
    }
    // The futures of one wait: any of them may end it.
    for (const attach::Address each : objects)
      add_edges_for(thread, resources_.at(resources_.of_object(each)), true);
  }

  // What it sleeps on was given to it already: it goes on as soon as the kernel lets it.
  bool is_woken(std::size_t index) const {
    const PySyncObject* slept_on = threads_[index].slept_on();
    return slept_on != nullptr && !slept_on->locked.value_or(true) &&
           (slept_on->kind == PySyncKind::lock || slept_on->kind == PySyncKind::rlock);
  }

  const Resource* find_resource(const std::string& id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &findings_.resources[found->second];
  }

  void add_edges_for(const ThreadFinding& thread, const Resource& resource, bool any_of) {
    if (resource.owner) {
      // CPython lets an RLock's owner take it again, so this thread's field and its wait contradict each
      // other.
      if (resource.kind == "RLock" && *resource.owner == thread.node) return;
      add_edge(thread, *resource.owner, resource, resource.owner_certainty, any_of);
      // Any thread may release a plain Lock, whoever took it.
      if (resource.kind == "Lock") add_ways_out(thread, resource, {"release"});
      return;
    }
    const PySyncObject* object = pyframes::find_sync_object(snapshot_.runtime, resource.address);
    if (object == nullptr) return;
    if (object->kind == PySyncKind::future) add_future_edges(thread, resource, *object);
    if (object->kind == PySyncKind::semaphore || object->kind == PySyncKind::bounded_semaphore)
      add_permit_edges(thread, resource, *object);
    add_notifier_edges(thread, resource);
  }

  // Not taken up by a worker yet: any worker of the pool would do, or the loop that was asked.
  void add_future_edges(const ThreadFinding& thread, const Resource& resource, const PySyncObject& future) {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const pyframes::PyThread* python = threads_[i].python;
      if (python == nullptr) continue;
      for (const pyframes::PyFrameObject& each : python->frame_objects) {
        const bool worker =
            each.variable == "work_queue" && !future.queue.is_null() && each.object == future.queue;
        const bool loop = each.variable == "self" && !future.loop.is_null() && each.object == future.loop;
        if (worker || loop) add_edge(thread, findings_.threads[i].node, resource, Certainty::certain, worker);
      }
    }
  }

  // All permits there are, if the semaphore remembers how many it began with; else somebody else may have one
  // and give it back, and nothing follows.
  void add_permit_edges(const ThreadFinding& thread, const Resource& resource,
                        const PySyncObject& semaphore) {
    std::size_t permits = 0;
    std::vector<Node> holders;
    for (const ThreadFinding& each : findings_.threads) {
      for (const Hold& hold : each.holds) {
        if (hold.resource != resource.id || hold.certainty < Certainty::inferred) continue;
        ++permits;
        holders.push_back(each.node);
      }
    }
    const bool all = semaphore.capacity && semaphore.count.value_or(1) == 0 &&
                     permits == static_cast<std::size_t>(std::max<std::int64_t>(*semaphore.capacity, 0));
    for (const Node holder : holders)
      add_edge(thread, holder, resource, all ? Certainty::inferred : Certainty::possible, true);
  }

  // Threads that would come to a call that ends the wait, if they go on. Where the wait has edges already, to
  // those whose part it is to end it, these are ways out.
  void add_notifier_edges(const ThreadFinding& thread, const Resource& resource) {
    const auto row = std::find_if(notifiers.begin(), notifiers.end(),
                                  [&](const Notifier& each) { return each.wait == thread.wait->kind; });
    if (row == notifiers.end()) return;
    // They were added just before.
    const bool has_others =
        !edges_.empty() && edges_.back().from == thread.node && edges_.back().resource == resource.id;
    if (has_others) return add_ways_out(thread, resource, row->methods);
    for_each_caller(thread, resource, row->methods,
                    [&](Node by) { add_edge(thread, by, resource, Certainty::likely, true); });
  }

  void add_ways_out(const ThreadFinding& thread, const Resource& resource,
                    std::span<const std::string_view> methods) {
    for_each_caller(thread, resource, methods, [&](Node by) {
      if (resource.owner != by) ways_out_.push_back({thread.node, by});
    });
  }
  void add_ways_out(const ThreadFinding& thread, const Resource& resource,
                    std::initializer_list<std::string_view> methods) {
    add_ways_out(thread, resource, std::span(methods.begin(), methods.size()));
  }

  // Of the other threads, those that may come to such a call. Who waits for the same lock would release it
  // only once it has it.
  template <typename Visit>
  void for_each_caller(const ThreadFinding& thread, const Resource& resource,
                       std::span<const std::string_view> methods, Visit visit) const {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      const pyframes::PyThread* python = threads_[i].python;
      const ThreadFinding& other = findings_.threads[i];
      if (python == nullptr || other.node == thread.node) continue;
      const bool waits_for_it = other.wait && other.wait->resource == resource.id;
      if (resource.kind == "Lock" && waits_for_it) continue;
      const bool calls =
          std::any_of(python->pending_calls.begin(), python->pending_calls.end(),
                      [&](const pyframes::PyPendingCall& call) {
                        return call.object == resource.address &&
                               std::find(methods.begin(), methods.end(), call.method) != methods.end();
                      });
      if (calls) visit(other.node);
    }
  }

  void add_edge(const ThreadFinding& from, Node to, const Resource& resource, Certainty certainty,
                bool any_of) {
    Edge edge;
    edge.from = from.node;
    edge.to = to;
    edge.resource = resource.id;
    edge.kind = from.wait->kind;
    edge.certainty = std::min(from.wait->certainty, certainty);
    edge.timed = from.wait->timeout.value_or(true);
    edge.any_of = any_of;
    if (!held_[edge.from] || !held_[edge.to]) edge.certainty = std::min(edge.certainty, Certainty::likely);
    edges_.push_back(std::move(edge));
  }

  const Snapshot& snapshot_;
  std::span<const JoinedThread> threads_;
  std::span<const Classification> classified_;
  ProcessFindings& findings_;
  ResourceTable resources_;
  std::unordered_map<std::string, std::size_t> by_id_;
  std::map<Node, bool> held_;
  std::vector<Edge> edges_;
  std::vector<WayOut> ways_out_;
};

}  // namespace

WaitGraph build_wait_graph(const Snapshot& snapshot, std::span<const JoinedThread> threads,
                           std::span<const Classification> classified, ProcessFindings& findings) {
  return GraphBuilder(snapshot, threads, classified, findings).build();
}

}  // namespace pythreads::report
