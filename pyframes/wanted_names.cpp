#include "pyframes/wanted_names.h"

#include <algorithm>

#include "pyframes/lock_mentions.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;

constexpr std::size_t max_wanted = 512;
constexpr std::size_t threads_an_object = 3;  // whose frames are searched for its name
constexpr std::size_t max_in_passing = 32;    // threads

template <typename Visit>
void for_each_thread(const PyRuntimeState& state, const RuntimeCopy& copy, Visit visit) {
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<PyThread>& threads = state.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), copy.interpreters[i].threads.size()); ++j)
      visit(ThreadAt{i, j}, threads[j]);
  }
}

bool is_lock(PySyncKind kind) {
  switch (kind) {
    case PySyncKind::lock:
    case PySyncKind::rlock:
    case PySyncKind::condition:
    case PySyncKind::event:
    case PySyncKind::semaphore:
    case PySyncKind::bounded_semaphore:
    case PySyncKind::barrier:
    case PySyncKind::queue:
    case PySyncKind::sem_lock:
      return true;
    default:
      return false;
  }
}

// An import is called by its module, a lock that is a thread's end by the thread.
bool is_called_otherwise(const PySyncObject& object) {
  return object.kind == PySyncKind::module_lock ||
         (object.kind == PySyncKind::lock && object.thread_ident.has_value());
}

}  // namespace

WantedNames::WantedNames(Reading& reading, const RuntimeCopy& copy, const PyRuntimeState& state)
    : state_(state) {
  collect(reading, copy);
  find_parts();
}

void WantedNames::want(Address object, ThreadAt at) {
  if (object.is_null() || (wanted_.size() >= max_wanted && !wanted_.contains(object))) return;
  const PySyncObject* known = find_sync_object(state_, object);
  if (known != nullptr && is_called_otherwise(*known)) return;
  Name& name = wanted_[object];
  name.asked = true;
  name.kind = known != nullptr ? known->kind : PySyncKind::pymutex;
  std::size_t& asked = asked_[object];
  if (asked++ >= threads_an_object) return;
  if (std::find(threads_.begin(), threads_.end(), at) == threads_.end()) threads_.push_back(at);
}

void WantedNames::want_in_passing(Address object, ThreadAt at) {
  if (object.is_null() || wanted_.size() >= max_wanted || !wanted_.try_emplace(object).second) return;
  const bool known = std::find(in_passing_.begin(), in_passing_.end(), at) != in_passing_.end();
  if (!known && in_passing_.size() < max_in_passing) in_passing_.push_back(at);
}

void WantedNames::collect(Reading& reading, const RuntimeCopy& copy) {
  std::unordered_set<Address> waited;
  for_each_thread(state_, copy, [&](ThreadAt at, const PyThread& thread) {
    if (!thread.lock_wait) return;
    for (const PyFrameObject& each : thread.frame_objects) {
      want(each.object, at);
      waited.insert(each.object);
    }
    if (!waits_on_private_lock(reading, copy.interpreters[at.interpreter].threads[at.thread]))
      want(thread.lock_wait->object, at);
    waited.insert(thread.lock_wait->object);
  });
  for_each_thread(state_, copy, [&](ThreadAt at, const PyThread& thread) {
    for (const PyHeldLock& held : thread.held) {
      if (thread.lock_wait || waited.contains(held.object)) want(held.object, at);
    }
  });
  for_each_thread(state_, copy, [&](ThreadAt at, const PyThread& thread) {
    for (const PyHeldLock& held : thread.held) want_in_passing(held.object, at);
  });
}

void WantedNames::find_parts() {
  std::unordered_set<Address> inner;
  for (const auto& [address, name] : wanted_) {
    const PySyncObject* object = find_sync_object(state_, address);
    if (object != nullptr && object->kind != PySyncKind::condition && !object->lock.is_null())
      inner.insert(object->lock);
  }
  for (const auto& [address, name] : wanted_) {
    const PySyncObject* object = find_sync_object(state_, address);
    if (object != nullptr && object->kind == PySyncKind::condition && inner.contains(object->lock))
      parts_.insert(address);
  }
}

void WantedNames::found(Address object, NameRank rank, const std::string& text) {
  const auto at = wanted_.find(object);
  if (at == wanted_.end() || text.empty()) return;
  Name& known = at->second;
  if (rank > known.rank) return;
  if (rank == known.rank && (known.search == search_ || known.text <= text)) return;
  known.rank = rank;
  known.text = text;
  known.search = search_;
}

bool WantedNames::are_named(bool asked) const {
  return std::none_of(wanted_.begin(), wanted_.end(), [&](const auto& each) {
    return each.second.asked == asked && each.second.unnamed() && !parts_.contains(each.first);
  });
}

bool WantedNames::seeks_locks() const {
  return std::any_of(wanted_.begin(), wanted_.end(), [&](const auto& each) {
    return each.second.asked && each.second.rank >= NameRank::inside && is_lock(each.second.kind) &&
           !parts_.contains(each.first);
  });
}

// The lock inside of a Condition that has a name is `NAME._lock`, where nothing better was found.
void WantedNames::name_insides() {
  for (const PySyncObject& object : state_.sync_objects) {
    const auto inner = wanted_.find(object.lock);
    const auto outer = wanted_.find(object.address);
    if (object.lock.is_null() || inner == wanted_.end() || outer == wanted_.end()) continue;
    if (inner->second.rank < NameRank::inside || outer->second.rank >= NameRank::inside) continue;
    const bool queue = object.kind == PySyncKind::queue;
    inner->second.rank = NameRank::inside;
    inner->second.text = outer->second.text + (queue ? ".mutex" : "._lock");
  }
}

void WantedNames::tell(PyRuntimeState& state) {
  name_insides();
  for (PySyncObject& object : state.sync_objects) {
    const auto found = wanted_.find(object.address);
    if (found != wanted_.end()) object.name = found->second.text;
  }
}

}  // namespace pythreads::pyframes
