#include "report/analysis/resource_table.h"

namespace pythreads::report {

using pyframes::PySyncKind;
using pyframes::PySyncObject;

std::string_view resource_kind(PySyncKind kind) {
  switch (kind) {
    case PySyncKind::lock:
      return "Lock";
    case PySyncKind::rlock:
      return "RLock";
    case PySyncKind::condition:
      return "Condition";
    case PySyncKind::event:
      return "Event";
    case PySyncKind::semaphore:
      return "Semaphore";
    case PySyncKind::bounded_semaphore:
      return "BoundedSemaphore";
    case PySyncKind::barrier:
      return "Barrier";
    case PySyncKind::thread:
      return "Thread";
    case PySyncKind::queue:
      return "Queue";
    case PySyncKind::simple_queue:
      return "SimpleQueue";
    case PySyncKind::future:
      return "Future";
    case PySyncKind::executor:
      return "Executor";
    case PySyncKind::module_lock:
      return "ModuleLock";
    case PySyncKind::sem_lock:
      return "SemLock";
    case PySyncKind::buffered:
      return "Buffered";
    case PySyncKind::event_loop:
      return "event-loop";
    case PySyncKind::c_object:
      return "c-object";
    case PySyncKind::pymutex:
      return "PyMutex";
    case PySyncKind::object_mutex:
      return "critical-section";
    case PySyncKind::stop_the_world:
      return "stop-the-world";
    case PySyncKind::stop_event:
      return "stop-event";
  }
  return "Lock";
}

std::size_t ResourceTable::add(attach::Address address, std::string_view kind) {
  Resource resource;
  resource.id = std::to_string(findings_.pid) + ":r" + std::to_string(findings_.resources.size() + 1);
  resource.kind = kind;
  resource.address = address;
  findings_.resources.push_back(std::move(resource));
  return findings_.resources.size() - 1;
}

std::size_t ResourceTable::of_word(attach::Address word, std::string_view kind) {
  const auto [found, added] = places_.try_emplace(word, 0);
  if (added) found->second = add(word, kind);
  return found->second;
}

std::size_t ResourceTable::of_object(attach::Address object) {
  const auto known = places_.find(object);
  if (known != places_.end()) return known->second;
  const PySyncObject* described = pyframes::find_sync_object(runtime_, object);
  // A lock that a thread releases at its end stands for the thread.
  const bool end_of_thread = described != nullptr && described->thread_ident.has_value();
  const std::size_t index = add(object, end_of_thread          ? "Thread"
                                        : described != nullptr ? resource_kind(described->kind)
                                                               : "Lock");
  places_.emplace(object, index);
  if (described == nullptr) return index;
  Resource& resource = findings_.resources[index];
  resource.name = described->name;
  resource.locked = described->locked;
  resource.count = described->count;
  resource.capacity = described->capacity;
  for (const pyframes::PySyncDetail& each : described->detail)
    resource.detail.push_back({each.name, each.value});
  const bool typed = described->kind == PySyncKind::c_object || described->kind == PySyncKind::object_mutex ||
                     described->kind == PySyncKind::buffered;
  if (typed && !described->type_name.empty()) resource.detail.push_back({"type", described->type_name});
  return index;
}

const PySyncObject* ResourceTable::object_of(std::size_t index) const {
  return pyframes::find_sync_object(runtime_, findings_.resources[index].address);
}

}  // namespace pythreads::report
