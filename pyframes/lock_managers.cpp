#include "pyframes/lock_managers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "pyframes/bound_method.h"
#include "pyframes/deque_items.h"
#include "pyframes/explicit_holds.h"
#include "pyframes/hex.h"
#include "pyframes/hold_rules.h"
#include "pyframes/manager_classes.h"
#include "pyframes/objects.h"
#include "pyframes/suspended_frames.h"
#include "pyframes/suspended_holds.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr int deepest = 4;                  // managers inside of managers
constexpr std::size_t max_callbacks = 256;  // of one ExitStack

// The standard library's managers that are no synchronization objects themselves, by the names of their
// classes; a subclass is one as well.
enum class ManagerKind {
  generator,
  exit_stack,
  module_lock,
  semaphore_between_processes,
  condition_between_processes,
  own
};
struct ManagerRow {
  std::string_view class_name;
  std::string_view module;
  ManagerKind kind;
};
constexpr std::array manager_rows{
    ManagerRow{"_GeneratorContextManagerBase", "contextlib", ManagerKind::generator},
    ManagerRow{"_GeneratorContextManager", "contextlib", ManagerKind::generator},  // to 3.6
    ManagerRow{"_BaseExitStack", "contextlib", ManagerKind::exit_stack},
    ManagerRow{"ExitStack", "contextlib", ManagerKind::exit_stack},  // to 3.6
    ManagerRow{"_ModuleLockManager", "importlib._bootstrap", ManagerKind::module_lock},
    ManagerRow{"_ModuleLockManager", "_frozen_importlib", ManagerKind::module_lock},
    ManagerRow{"SemLock", "multiprocessing.synchronize", ManagerKind::semaphore_between_processes},
    ManagerRow{"Condition", "multiprocessing.synchronize", ManagerKind::condition_between_processes},
};

PyHoldTrust weaker(PyHoldTrust one, PyHoldTrust other) {
  return std::max(one, other);  // certain comes first
}

class Managers {
 public:
  explicit Managers(Reading& reading) : reading_(reading) {}

  std::vector<ManagedLock> locks_of(Address manager, int depth) {
    if (depth > deepest || manager.is_null()) return {};
    if (const PySyncObject* known = describe_sync_object(reading_, manager)) return of_sync_object(*known);
    const Result<Address> type = type_of(layout(), reading_.memory, manager);
    if (!type || type->is_null()) return {};
    switch (kind_of(*type)) {
      case ManagerKind::generator:
        return of_generator_manager(manager, depth);
      case ManagerKind::exit_stack:
        return of_exit_stack(manager, depth);
      case ManagerKind::module_lock:
        return of_attribute(manager, "_lock", hold_rule::with_module_lock, "a with block on it is open",
                            depth);
      case ManagerKind::semaphore_between_processes:
        return of_attribute(manager, "_semlock", hold_rule::with_block, "a with block on it is open", depth);
      case ManagerKind::condition_between_processes:
        return of_attribute(manager, "_lock", hold_rule::with_condition,
                            "a with block on a Condition, whose lock it is, is open", depth);
      case ManagerKind::own:
        return of_own_class(manager, *type, depth);
    }
    return {};
  }

  std::vector<Address> released_by(Address manager, Address type) {
    switch (kind_of(type)) {
      case ManagerKind::generator: {
        const std::optional<Address> generator = attribute(manager, "gen");
        const std::optional<FrameCopy> frame =
            generator ? suspended_frame(reading_, *generator) : std::nullopt;
        return frame ? released_before(reading_, *frame) : std::vector<Address>{};
      }
      case ManagerKind::own: {
        const Result<std::uint64_t> flags = type_flags(layout(), reading_.lasting, type);
        if (!flags || (*flags & type_flag::heap_type) == 0 || (*flags & type_flag::type_subclass) != 0)
          return {};
        return released_by_enter(reading_, manager, type);
      }
      default:
        return {};
    }
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  static std::uint64_t at(PointerField field) {
    return static_cast<std::uint64_t>(std::max(field.offset, 0));
  }

  std::vector<ManagedLock> of_sync_object(const PySyncObject& object) {
    switch (object.kind) {
      case PySyncKind::sem_lock:
        if (object.capacity.value_or(1) > 1) return permit(object);
        [[fallthrough]];
      case PySyncKind::lock:
      case PySyncKind::rlock:
      case PySyncKind::module_lock:
        return {{.object = object.address,
                 .trust = PyHoldTrust::certain,
                 .rule = hold_rule::with_block,
                 .evidence = "a with block on it is open in one of its frames",
                 .taken = {}}};
      case PySyncKind::condition:
        if (object.lock.is_null()) return {};
        return {{.object = object.lock,
                 .trust = PyHoldTrust::certain,
                 .rule = hold_rule::with_condition,
                 .evidence = "a with block on the Condition at " + hex(object.address) +
                             ", whose lock it is, is open in one of its frames",
                 .taken = {}}};
      case PySyncKind::semaphore:
      case PySyncKind::bounded_semaphore:
        return permit(object);
      default:
        return {};
    }
  }

  static std::vector<ManagedLock> permit(const PySyncObject& object) {
    return {{.object = object.address,
             .trust = PyHoldTrust::certain,
             .permit = true,
             .rule = hold_rule::with_semaphore,
             .evidence = "a with block on it is open in one of its frames: it has one of its permits",
             .taken = {}}};
  }

  ManagerKind kind_of(Address type) {
    for (const ManagerRow& row : manager_rows) {
      const Result<bool> is = type_or_base_is(layout(), reading_.lasting, type, row.class_name);
      if (!is || !*is) continue;
      if (in_module(type, row)) return row.kind;
    }
    return ManagerKind::own;
  }

  // The base of that name is the standard library's own.
  bool in_module(Address type, const ManagerRow& row) {
    for (int depth = 0; depth < 64 && !type.is_null(); ++depth) {
      const Result<std::string> name = qualified_type_name(layout(), reading_.lasting, type);
      if (name && *name == std::string(row.module) + '.' + std::string(row.class_name)) return true;
      const Result<Address> base = reading_.lasting.read_address(type + at(layout().type.tp_base));
      if (!base) return false;
      type = *base;
    }
    return false;
  }

  std::optional<Address> attribute(Address object, std::string_view name) {
    const Result<std::optional<Address>> found = find_attribute(layout(), reading_.memory, object, name);
    return found ? *found : std::nullopt;
  }

  std::vector<ManagedLock> of_attribute(Address manager, std::string_view name, std::string_view rule,
                                        std::string_view evidence, int depth) {
    const std::optional<Address> lock = attribute(manager, name);
    if (!lock) return {};
    std::vector<ManagedLock> locks = locks_of(*lock, depth + 1);
    for (ManagedLock& each : locks) {
      each.rule = rule;
      each.evidence = std::string(evidence) + " in one of its frames";
    }
    return locks;
  }

  // @contextmanager: the generator is suspended at its yield, inside of what it opened.
  std::vector<ManagedLock> of_generator_manager(Address manager, int depth) {
    const std::optional<Address> generator = attribute(manager, "gen");
    const std::optional<FrameCopy> frame = generator ? suspended_frame(reading_, *generator) : std::nullopt;
    if (!frame) return {};
    std::vector<ManagedLock> held;
    for (ManagedLock& lock : locks_of_suspended(reading_, *frame, depth + 1)) {
      lock.rule = hold_rule::generator_manager;
      lock.evidence =
          "a with block on a generator's context manager is open in one of its frames, and the "
          "generator is suspended inside of what keeps it";
      held.push_back(std::move(lock));
    }
    return held;
  }

  // (is_sync, callback), to 3.6 the callback alone. The callback of enter_context is a method of the manager,
  // that of callback() a closure over what was given. To 3.7 enter_context's is a closure too, over the
  // manager and its `__exit__`.
  std::vector<ManagedLock> of_exit_stack(Address manager, int depth) {
    const std::optional<Address> callbacks = attribute(manager, "_exit_callbacks");
    if (!callbacks) return {};
    std::vector<ManagedLock> held;
    for (const Address entry : deque_items(reading_, *callbacks, max_callbacks)) {
      const Address callback = callback_of(entry);
      const std::vector<Address> closure = closure_of(reading_, callback);
      std::vector<ManagedLock> locks;
      if (const std::optional<BoundMethod> exit = read_bound_method(reading_, callback)) {
        locks = locks_of(exit->self, depth + 1);
      } else if (closure.size() == 2 && code_name_of(callback) == "_exit_wrapper") {
        locks = locks_of(closure.front(), depth + 1);  // cm, cm_exit: by the alphabet
      } else {
        for (const Address cell : closure) {
          const std::optional<BoundMethod> released = read_bound_method(reading_, cell);
          if (released && released->name == "release") locks = locks_of(released->self, depth + 1);
        }
      }
      for (ManagedLock& lock : locks) {
        lock.trust = weaker(lock.trust, PyHoldTrust::inferred);
        lock.rule = hold_rule::exit_stack;
        lock.evidence =
            "a with block on an ExitStack is open in one of its frames, and the stack will exit it";
        held.push_back(std::move(lock));
      }
    }
    return held;
  }

  Address callback_of(Address entry) {
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, entry);
    if (!flags || (*flags & type_flag::tuple_subclass) == 0) return entry;
    const Result<Items> pair = read_tuple(layout(), reading_.memory, entry, 2);
    return pair && pair->items.size() == 2 ? pair->items[1] : entry;
  }

  std::string code_name_of(Address function) {
    if (!layout().function.func_code.exists()) return {};
    const Result<Address> code = reading_.memory.read_address(function + at(layout().function.func_code));
    return code ? code_name(reading_, *code).str() : std::string();
  }

  // ---- a program's own class

  std::vector<ManagedLock> of_own_class(Address manager, Address type, int depth) {
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.lasting, type);
    if (!flags || (*flags & type_flag::heap_type) == 0 || (*flags & type_flag::type_subclass) != 0) return {};
    std::vector<ManagedLock> held;
    for (const GivenBack& each : given_back_by_exit(reading_, manager, type)) {
      for (ManagedLock& lock : locks_of(each.object, depth + 1)) {
        lock.trust = weaker(lock.trust, each.sure ? PyHoldTrust::inferred : PyHoldTrust::likely);
        lock.rule = hold_rule::wrapper_exit;
        lock.evidence =
            "a with block on an object is open in one of its frames whose __exit__ releases its " +
            each.name + (each.sure ? "" : ", under a condition");
        held.push_back(std::move(lock));
      }
    }
    return held.empty() ? of_only_attribute(manager, type, depth) : held;
  }

  // What gives it back was not understood; but nothing else than this one lock is in question.
  std::vector<ManagedLock> of_only_attribute(Address manager, Address type, int depth) {
    std::vector<ManagedLock> held;
    std::string name;
    for (const GivenBack& each : named_by_exit(reading_, manager, type)) {
      if (describe_sync_object(reading_, each.object) == nullptr) continue;
      for (ManagedLock& lock : locks_of(each.object, depth + 1)) {
        if (!held.empty() && held.front().object == lock.object) continue;
        held.push_back(std::move(lock));
        name = each.name;
      }
    }
    if (held.size() != 1) return {};
    held.front().trust = PyHoldTrust::likely;
    held.front().rule = hold_rule::manager_attribute;
    held.front().evidence =
        "a with block on an object is open in one of its frames whose __exit__ does "
        "something with its " +
        name + ", the only lock that it names";
    return held;
  }

  Reading& reading_;
};

}  // namespace

std::vector<ManagedLock> locks_of_manager(Reading& reading, Address manager, int depth) {
  return Managers(reading).locks_of(manager, depth);
}

std::vector<Address> released_by_manager(Reading& reading, Address manager) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, manager);
  if (!type || type->is_null() || describe_sync_object(reading, manager) != nullptr) return {};
  return Managers(reading).released_by(manager, *type);
}

Address lock_behind(Reading& reading, Address object) {
  if (const PySyncObject* known = describe_sync_object(reading, object))
    return known->kind == PySyncKind::condition && !known->lock.is_null() ? known->lock : object;
  const Result<std::optional<Address>> inner =
      find_attribute(reading.layout(), reading.memory, object, "_semlock");
  if (inner && *inner) {
    const PySyncObject* known = describe_sync_object(reading, **inner);
    if (known != nullptr && known->kind == PySyncKind::sem_lock) return **inner;
  }
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  const Result<std::uint64_t> flags =
      type ? type_flags(reading.layout(), reading.lasting, *type) : Result<std::uint64_t>(type.error());
  if (!flags || (*flags & type_flag::heap_type) == 0 || (*flags & type_flag::type_subclass) != 0)
    return object;
  const auto [known, added] = reading.released_by_objects.try_emplace(object);
  if (added) known->second = released_by_method(reading, object, *type, "release");
  if (!known->second) return object;
  const PySyncObject* lock = describe_sync_object(reading, *known->second);
  if (lock == nullptr) return object;
  return lock->kind == PySyncKind::condition && !lock->lock.is_null() ? lock->lock : lock->address;
}

}  // namespace pythreads::pyframes
