#include "pyframes/sync_objects.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_bases = 64;
constexpr std::size_t max_text = 200;
constexpr std::uint64_t word = 8;

// A type by its tp_name (a class's has no module) and by its whole name.
struct TypeRow {
  std::string_view name;
  std::string_view qualified;  // empty: a C type, whose tp_name is whole
  PySyncKind kind;
};
// A subclass before its base where both are listed.
constexpr std::array type_rows{
    TypeRow{"_thread.lock", "", PySyncKind::lock},
    TypeRow{"_thread.RLock", "", PySyncKind::rlock},
    TypeRow{"_thread._ThreadHandle", "", PySyncKind::thread},
    TypeRow{"_queue.SimpleQueue", "", PySyncKind::simple_queue},
    TypeRow{"_multiprocessing.SemLock", "", PySyncKind::sem_lock},
    TypeRow{"_io.BufferedReader", "", PySyncKind::buffered},
    TypeRow{"_io.BufferedWriter", "", PySyncKind::buffered},
    TypeRow{"_io.BufferedRandom", "", PySyncKind::buffered},
    TypeRow{"_RLock", "threading._RLock", PySyncKind::rlock},
    TypeRow{"Condition", "threading.Condition", PySyncKind::condition},
    TypeRow{"Event", "threading.Event", PySyncKind::event},
    TypeRow{"BoundedSemaphore", "threading.BoundedSemaphore", PySyncKind::bounded_semaphore},
    TypeRow{"Semaphore", "threading.Semaphore", PySyncKind::semaphore},
    TypeRow{"Barrier", "threading.Barrier", PySyncKind::barrier},
    TypeRow{"Thread", "threading.Thread", PySyncKind::thread},
    TypeRow{"Queue", "queue.Queue", PySyncKind::queue},
    TypeRow{"Future", "concurrent.futures._base.Future", PySyncKind::future},
    TypeRow{"ThreadPoolExecutor", "concurrent.futures.thread.ThreadPoolExecutor", PySyncKind::executor},
    TypeRow{"_ModuleLock", "importlib._bootstrap._ModuleLock", PySyncKind::module_lock},
    TypeRow{"_ModuleLock", "_frozen_importlib._ModuleLock", PySyncKind::module_lock},
    TypeRow{"BaseEventLoop", "asyncio.base_events.BaseEventLoop", PySyncKind::event_loop},
};

class Describer {
 public:
  explicit Describer(Reading& reading) : reading_(reading) {}

  std::shared_ptr<PySyncObject> describe(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return nullptr;
    const SyncType& known = sync_type(*type);
    if (!known.is_one) return nullptr;
    auto described = std::make_shared<PySyncObject>();
    described->address = object;
    described->kind = known.kind;
    described->type_name = known.name;
    fill(*described);
    return described;
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  std::uint64_t head() const { return static_cast<std::uint64_t>(layout().object.size); }

  const SyncType& sync_type(Address type) {
    const auto [found, added] = reading_.sync_types.try_emplace(type);
    if (!added) return found->second;
    SyncType fact;
    for (const Address base : bases_of(type)) {
      const Result<std::string> name = type_name(layout(), reading_.lasting, base);
      if (!name) break;
      const TypeRow* row = find_row(base, *name);
      if (row == nullptr) continue;
      fact.is_one = true;
      fact.kind = row->kind;
      fact.native = row->qualified.empty();
      const Result<std::int64_t> size = type_basicsize(layout(), reading_.lasting, base);
      fact.size = size ? *size - layout().object.size : 0;
      const Result<std::string> own = qualified_type_name(layout(), reading_.lasting, type);
      fact.name = own ? *own : *name;
      break;
    }
    return reading_.sync_types.insert_or_assign(type, std::move(fact)).first->second;
  }

  const TypeRow* find_row(Address base, const std::string& name) {
    for (const TypeRow& row : type_rows) {
      if (row.name != name) continue;
      if (row.qualified.empty()) return &row;
      const Result<std::string> qualified = qualified_type_name(layout(), reading_.lasting, base);
      if (qualified && *qualified == row.qualified) return &row;
    }
    return nullptr;
  }

  // The type and its bases in the order of its MRO; along tp_base where that can't be read.
  std::vector<Address> bases_of(Address type) {
    if (layout().type.tp_mro.exists()) {
      const Result<Address> mro = reading_.lasting.read_address(type + at(layout().type.tp_mro));
      if (mro && !mro->is_null()) {
        const Result<Items> items = read_tuple(layout(), reading_.lasting, *mro, max_bases);
        if (items && !items->items.empty() && items->items.front() == type) return items->items;
      }
    }
    std::vector<Address> bases;
    while (bases.size() < max_bases && !type.is_null()) {
      bases.push_back(type);
      const Result<Address> base = reading_.lasting.read_address(type + at(layout().type.tp_base));
      if (!base) break;
      type = *base;
    }
    return bases;
  }

  template <typename T>
  static std::uint64_t at(Field<T> field) {
    return static_cast<std::uint64_t>(std::max(field.offset, 0));
  }

  // ---- attributes

  std::optional<Address> attribute(Address object, std::string_view name) {
    if (object.is_null()) return std::nullopt;
    const Result<std::optional<Address>> found = find_attribute(layout(), reading_.memory, object, name);
    return found ? *found : std::nullopt;
  }
  std::optional<std::int64_t> integer(std::optional<Address> object) {
    if (!object) return std::nullopt;
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, *object);
    if (!flags || (*flags & type_flag::long_subclass) == 0) return std::nullopt;
    const Result<IntValue> value = read_int(layout(), reading_.memory, *object);
    return value ? value->as_int64() : std::nullopt;
  }
  std::optional<std::uint64_t> ident(std::optional<Address> object) {
    const std::optional<std::int64_t> value = integer(object);
    if (!value || *value <= 0) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
  }
  std::string text(std::optional<Address> object) {
    if (!object) return {};
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, *object);
    if (!flags || (*flags & type_flag::unicode_subclass) == 0) return {};
    const Result<StrValue> value = read_str(layout(), reading_.memory, *object, max_text);
    return value ? value->text : std::string();
  }
  template <typename T>
  std::optional<T> field(Address object, Field<T> of) {
    if (!of.exists()) return std::nullopt;
    const Result<T> value = reading_.memory.read_value<T>(object + head() + at(of));
    return value ? std::optional(*value) : std::nullopt;
  }
  // ob_size of a list or a deque, which both have it at the head of a variable-sized object.
  std::optional<std::int64_t> length(std::optional<Address> object) {
    if (!object) return std::nullopt;
    const Result<std::int64_t> size =
        reading_.memory.read_value<std::int64_t>(*object + at(layout().list.ob_size));
    if (!size || *size < 0) return std::nullopt;
    return *size;
  }

  // ---- kinds

  void fill(PySyncObject& object) {
    const auto known = reading_.sync_types.find(type_at(object.address));
    switch (object.kind) {
      case PySyncKind::lock:
      case PySyncKind::rlock:
        if (known != reading_.sync_types.end() && !known->second.native) return fill_python_rlock(object);
        return fill_lock(object, known == reading_.sync_types.end() ? 0 : known->second.size);
      case PySyncKind::condition:
        return fill_condition(object);
      case PySyncKind::event:
        if (const auto flag = integer(attribute(object.address, "_flag")))
          object.detail.push_back({"set", *flag != 0});
        object.lock = lock_of(attribute(object.address, "_cond"));
        return;
      case PySyncKind::semaphore:
      case PySyncKind::bounded_semaphore:
        object.count = integer(attribute(object.address, "_value"));
        object.capacity = integer(attribute(object.address, "_initial_value"));
        object.lock = lock_of(attribute(object.address, "_cond"));
        if (object.count) object.locked = *object.count == 0;
        return;
      case PySyncKind::barrier:
        return fill_barrier(object);
      case PySyncKind::thread:
        return fill_thread(object);
      case PySyncKind::queue:
        return fill_queue(object);
      case PySyncKind::simple_queue:
        return fill_simple_queue(object);
      case PySyncKind::future:
        return fill_future(object);
      case PySyncKind::executor:
        object.capacity = integer(attribute(object.address, "_max_workers"));
        object.queue = attribute(object.address, "_work_queue").value_or(Address());
        return;
      case PySyncKind::module_lock:
        return fill_module_lock(object);
      case PySyncKind::sem_lock:
        return fill_sem_lock(object);
      case PySyncKind::buffered:
        return fill_buffered(object);
      case PySyncKind::event_loop:
        object.owner_ident = ident(attribute(object.address, "_thread_id"));
        return;
      case PySyncKind::c_object:
      case PySyncKind::pymutex:
      case PySyncKind::object_mutex:
      case PySyncKind::stop_the_world:
      case PySyncKind::stop_event:
        return;
    }
  }

  Address type_at(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    return type ? *type : Address();
  }

  void fill_lock(PySyncObject& object, std::int64_t size) {
    const LockLayout* lock =
        find_lock_layout(object.kind == PySyncKind::lock ? "_thread.lock" : "_thread.RLock", size);
    if (lock == nullptr) return;
    object.owner_field = lock->owner.exists();
    const std::optional<std::uint64_t> count = field(object.address, lock->count);
    if (const auto mutex = field(object.address, lock->mutex)) {
      object.locked = (*mutex & 1) != 0;
    } else if (const auto locked = field(object.address, lock->locked)) {
      object.locked = *locked != 0 || is_taken(object.address, *lock);
    } else if (count) {
      object.locked = *count > 0;
    }
    if (!lock->owner.exists() || !object.locked.value_or(false) || !count) return;
    object.count = static_cast<std::int64_t>(*count + lock->count_bias);
    const std::optional<std::uint64_t> owner = field(object.address, lock->owner);
    if (owner && *owner != 0) object.owner_ident = *owner;
  }

  // The flag is set with the GIL; a thread that has got the semaphore and waits for the GIL has the lock.
  bool is_taken(Address object, const LockLayout& lock) {
    const std::optional<std::uint64_t> semaphore = field(object, lock.semaphore);
    if (!semaphore || *semaphore == 0) return false;
    const Result<std::uint32_t> value = reading_.memory.read_value<std::uint32_t>(Address(*semaphore));
    return value && *value == 0;
  }

  // threading._RLock, the one that is written in Python: _block, _owner, _count.
  void fill_python_rlock(PySyncObject& object) {
    object.owner_field = true;
    object.count = integer(attribute(object.address, "_count"));
    object.owner_ident = ident(attribute(object.address, "_owner"));
    object.lock = attribute(object.address, "_block").value_or(Address());
    if (object.count) object.locked = *object.count > 0;
    if (!object.locked.value_or(false)) object.owner_ident.reset();
  }

  // The innermost lock behind an attribute: a Condition's, a multiprocessing wrapper's.
  Address lock_of(std::optional<Address> object) {
    constexpr int deepest = 4;
    for (int depth = 0; object && depth < deepest; ++depth) {
      const SyncType& type = sync_type(type_at(*object));
      if (type.is_one && (type.kind == PySyncKind::lock || type.kind == PySyncKind::rlock ||
                          type.kind == PySyncKind::sem_lock)) {
        return *object;
      }
      std::optional<Address> inner = attribute(*object, "_lock");
      if (!inner) inner = attribute(*object, "_semlock");
      if (!inner) inner = attribute(*object, "_cond");
      object = inner;
    }
    return {};
  }

  void fill_condition(PySyncObject& object) {
    object.lock = lock_of(attribute(object.address, "_lock"));
    object.count = length(attribute(object.address, "_waiters"));
  }

  void fill_barrier(PySyncObject& object) {
    object.capacity = integer(attribute(object.address, "_parties"));
    object.count = integer(attribute(object.address, "_count"));
    object.lock = lock_of(attribute(object.address, "_cond"));
    constexpr std::int64_t broken = -2;
    if (object.capacity) object.detail.push_back({"parties", *object.capacity});
    if (object.count) object.detail.push_back({"waiting", *object.count});
    if (const auto state = integer(attribute(object.address, "_state")))
      object.detail.push_back({"broken", *state == broken});
  }

  void fill_thread(PySyncObject& object) {
    constexpr std::int32_t done = 4;  // THREAD_HANDLE_DONE, Modules/_threadmodule.c
    std::optional<Address> handle;
    if (sync_type(type_at(object.address)).native) {
      handle = object.address;
    } else {
      object.thread_ident = ident(attribute(object.address, "_ident"));
      handle = attribute(object.address, "_os_thread_handle");
      if (!handle) handle = attribute(object.address, "_handle");
      const std::string name = text(attribute(object.address, "_name"));
      if (!name.empty()) object.detail.push_back({"name", name});
      if (const auto stopped = integer(attribute(object.address, "_is_stopped")))
        object.finished = *stopped != 0;
    }
    if (!handle || !layout().thread_handle_object.handle.exists()) return;
    const Result<Address> inner =
        reading_.memory.read_address(*handle + at(layout().thread_handle_object.handle));
    if (!inner || inner->is_null()) return;
    const auto& fields = layout().thread_handle;
    const Result<std::uint64_t> own_ident =
        reading_.memory.read_value<std::uint64_t>(*inner + at(fields.ident));
    const Result<std::int32_t> state = reading_.memory.read_value<std::int32_t>(*inner + at(fields.state));
    if (own_ident && *own_ident != 0 && !object.thread_ident) object.thread_ident = *own_ident;
    if (state) object.finished = *state == done;
  }

  void fill_queue(PySyncObject& object) {
    object.count = length(attribute(object.address, "queue"));
    object.capacity = integer(attribute(object.address, "maxsize"));
    object.lock = lock_of(attribute(object.address, "mutex"));
    if (const auto unfinished = integer(attribute(object.address, "unfinished_tasks")))
      object.detail.push_back({"unfinished", *unfinished});
    if (object.capacity) object.detail.push_back({"maxsize", *object.capacity});
  }

  void fill_simple_queue(PySyncObject& object) {
    const SyncType& type = sync_type(type_at(object.address));
    const SimpleQueueLayout* queue = find_simple_queue_layout(type.size);
    if (queue == nullptr) return;
    if (queue->num.exists()) {
      object.count = field(object.address, queue->num);
      return;
    }
    const std::optional<std::uint64_t> list = field(object.address, queue->list);
    const std::optional<std::int64_t> taken = field(object.address, queue->list_position);
    const std::optional<std::int64_t> all = list ? length(Address(*list)) : std::nullopt;
    if (all && taken && *all >= *taken) object.count = *all - *taken;
  }

  void fill_future(PySyncObject& object) {
    const std::string state = text(attribute(object.address, "_state"));
    object.lock = lock_of(attribute(object.address, "_condition"));
    if (state.empty()) return;
    object.finished = state != "PENDING" && state != "RUNNING";
    object.detail.push_back({"state", state});
  }

  void fill_module_lock(PySyncObject& object) {
    object.module = text(attribute(object.address, "name"));
    object.owner_field = true;
    object.owner_ident = ident(attribute(object.address, "owner"));
    object.lock = lock_of(attribute(object.address, "lock"));
    const std::optional<Address> count = attribute(object.address, "count");
    object.count = integer(count);
    if (!object.count && count) object.count = length(count);  // a list from 3.12 on
    object.locked = object.owner_ident.has_value();
    if (!object.module.empty()) object.detail.push_back({"module", object.module});
  }

  void fill_sem_lock(PySyncObject& object) {
    const std::optional<std::uint64_t> handle = field(object.address, sem_lock_layout.handle);
    const std::optional<std::uint64_t> last = field(object.address, sem_lock_layout.last_tid);
    const std::optional<std::int32_t> count = field(object.address, sem_lock_layout.count);
    const std::optional<std::int32_t> most = field(object.address, sem_lock_layout.maxvalue);
    object.owner_field = true;
    if (most) object.capacity = *most;
    if (handle) {
      const Result<std::int32_t> value = reading_.memory.read_value<std::int32_t>(Address(*handle));
      if (value) object.count = *value, object.locked = *value == 0;
    }
    if (count && *count > 0 && last && *last != 0) object.owner_ident = *last;
    if (const auto name = field(object.address, sem_lock_layout.name); name && *name != 0) {
      const Result<std::string> semaphore = reading_.memory.read_c_string(Address(*name), max_text);
      if (semaphore) object.detail.push_back({"semaphore", valid_utf8(*semaphore)});
    }
  }

  void fill_buffered(PySyncObject& object) {
    object.owner_field = true;
    const std::optional<std::uint64_t> owner = field(object.address, buffered_layout.owner);
    if (!owner) return;
    object.locked = *owner != 0;
    if (*owner != 0) object.owner_ident = *owner;
  }

  Reading& reading_;
};

}  // namespace

const PySyncObject* describe_sync_object(Reading& reading, Address object) {
  const auto known = reading.sync_objects.find(object);  // a mutex lies at any address
  if (known != reading.sync_objects.end()) return known->second.get();
  if (object.is_null() || object.value % word != 0) return nullptr;
  std::shared_ptr<PySyncObject> described = Describer(reading).describe(object);
  return reading.sync_objects.emplace(object, std::move(described)).first->second.get();
}

const PySyncObject* add_sync_object(Reading& reading, PySyncObject object) {
  const Address address = object.address;
  auto kept = std::make_shared<PySyncObject>(std::move(object));
  return reading.sync_objects.insert_or_assign(address, std::move(kept)).first->second.get();
}

void read_sync_objects(Reading& reading, PyRuntimeState& state) {
  std::set<Address> wanted;
  for (const PyInterpreter& interpreter : state.interpreters) {
    for (const PyThread& thread : interpreter.threads) {
      if (thread.lock_wait) wanted.insert(thread.lock_wait->object);
      for (const PyFrameObject& each : thread.frame_objects) wanted.insert(each.object);
      for (const PyHeldLock& each : thread.held) wanted.insert(each.object);
      for (const PyPendingCall& each : thread.pending_calls) wanted.insert(each.object);
      for (const PyMention& each : thread.mentions) wanted.insert(each.object);
    }
  }
  constexpr int steps = 3;  // an executor's queue, a queue's lock
  for (int step = 0; step < steps; ++step) {
    for (const Address address : std::set<Address>(wanted)) {
      const PySyncObject* object = describe_sync_object(reading, address);
      if (object == nullptr) continue;
      for (const Address inner : {object->lock, object->queue, object->loop}) {
        if (!inner.is_null()) wanted.insert(inner);
      }
    }
  }
  state.sync_objects.clear();
  if (reading.held) return;
  for (const Address address : wanted) {
    if (const PySyncObject* object = describe_sync_object(reading, address))
      state.sync_objects.push_back(*object);
  }
}

}  // namespace pythreads::pyframes
