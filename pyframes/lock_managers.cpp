#include "pyframes/lock_managers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "pyframes/code.h"
#include "pyframes/deque_items.h"
#include "pyframes/hex.h"
#include "pyframes/line_table.h"
#include "pyframes/objects.h"
#include "pyframes/suspended_frames.h"
#include "pyframes/sync_objects.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr int deepest = 4;                   // managers inside of managers
constexpr std::size_t max_callbacks = 256;   // of one ExitStack
constexpr std::size_t max_attributes = 128;  // of one manager
constexpr std::size_t max_names = 512;       // of one code object

// The standard library's managers that are no synchronization objects themselves, by the names of their
// classes; a subclass is one as well.
enum class ManagerKind { generator, exit_stack, module_lock, semaphore_between_processes, own };
struct ManagerRow {
  std::string_view class_name;
  std::string_view module;
  ManagerKind kind;
};
constexpr std::array manager_rows{
    ManagerRow{"_GeneratorContextManagerBase", "contextlib", ManagerKind::generator},
    ManagerRow{"_BaseExitStack", "contextlib", ManagerKind::exit_stack},
    ManagerRow{"_ModuleLockManager", "importlib._bootstrap", ManagerKind::module_lock},
    ManagerRow{"_ModuleLockManager", "_frozen_importlib", ManagerKind::module_lock},
    ManagerRow{"SemLock", "multiprocessing.synchronize", ManagerKind::semaphore_between_processes},
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
        return of_attribute(manager, "_lock", "with-module-lock", "a with block on it is open", depth);
      case ManagerKind::semaphore_between_processes:
        return of_attribute(manager, "_semlock", "with-block", "a with block on it is open", depth);
      case ManagerKind::own:
        return of_own_class(manager, *type, depth);
    }
    return {};
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  static std::uint64_t at(PointerField field) {
    return static_cast<std::uint64_t>(std::max(field.offset, 0));
  }

  std::vector<ManagedLock> of_sync_object(const PySyncObject& object) {
    switch (object.kind) {
      case PySyncKind::lock:
      case PySyncKind::rlock:
      case PySyncKind::sem_lock:
      case PySyncKind::module_lock:
        return {{.object = object.address,
                 .trust = PyHoldTrust::certain,
                 .rule = "with-block",
                 .evidence = "a with block on it is open in one of its frames",
                 .taken = {}}};
      case PySyncKind::condition:
        if (object.lock.is_null()) return {};
        return {{.object = object.lock,
                 .trust = PyHoldTrust::certain,
                 .rule = "with-condition",
                 .evidence = "a with block on the Condition at " + hex(object.address) +
                             ", whose lock it is, is open in one of its frames",
                 .taken = {}}};
      case PySyncKind::semaphore:
      case PySyncKind::bounded_semaphore:
        return {{.object = object.address,
                 .trust = PyHoldTrust::certain,
                 .permit = true,
                 .rule = "with-semaphore",
                 .evidence = "a with block on it is open in one of its frames: it has one of its permits",
                 .taken = {}}};
      default:
        return {};
    }
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
    for (const OpenWith& open : open_with_blocks(reading_, *frame)) {
      for (ManagedLock& lock : locks_of(open.manager, depth + 1)) {
        lock.trust = weaker(lock.trust, PyHoldTrust::inferred);
        lock.rule = "generator-manager";
        lock.evidence =
            "a with block on a generator's context manager is open in one of its frames, and the "
            "generator is suspended inside a with block on it";
        if (lock.taken.line == 0) lock.taken = place_of(*frame, open.line);
        held.push_back(std::move(lock));
      }
    }
    return held;
  }

  PyPlace place_of(const FrameCopy& frame, int line) {
    if (reading_.held || line == 0) return {};
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    return code ? PyPlace{(*code)->file, line, (*code)->name} : PyPlace{};
  }

  // (is_sync, callback): the callback of enter_context is a method of the manager, that of callback() a
  // closure over what was given.
  std::vector<ManagedLock> of_exit_stack(Address manager, int depth) {
    const std::optional<Address> callbacks = attribute(manager, "_exit_callbacks");
    if (!callbacks) return {};
    std::vector<ManagedLock> held;
    for (const Address entry : deque_items(reading_, *callbacks, max_callbacks)) {
      const Result<Items> pair = read_tuple(layout(), reading_.memory, entry, 2);
      if (!pair || pair->items.size() != 2) continue;
      std::vector<ManagedLock> locks;
      if (const std::optional<Address> self = self_of(pair->items[1])) {
        locks = locks_of(*self, depth + 1);
      } else {
        for (const Address cell : closure_of(reading_, pair->items[1])) {
          const std::optional<Address> released = self_of(cell);
          if (!released || !is_method_named(cell, "release")) continue;
          locks = locks_of(*released, depth + 1);
        }
      }
      for (ManagedLock& lock : locks) {
        lock.trust = weaker(lock.trust, PyHoldTrust::inferred);
        lock.rule = "exit-stack";
        lock.evidence =
            "a with block on an ExitStack is open in one of its frames, and the stack will exit it";
        held.push_back(std::move(lock));
      }
    }
    return held;
  }

  std::optional<Address> self_of(Address method) {
    const Result<Address> type = type_of(layout(), reading_.memory, method);
    const Result<std::string> name =
        type ? type_name(layout(), reading_.lasting, *type) : Result<std::string>(type.error());
    if (!name) return std::nullopt;
    const PointerField field = bound_self_field(layout(), *name);
    if (!field.exists()) return std::nullopt;
    const Result<Address> self = reading_.memory.read_address(method + at(field));
    return self && !self->is_null() ? std::optional(*self) : std::nullopt;
  }

  // A method written in C, by the name in its definition; one of Python by its function's.
  bool is_method_named(Address method, std::string_view name) {
    if (layout().builtin_function.m_ml.exists() && layout().method_def.ml_name.exists()) {
      const Result<Address> definition =
          reading_.memory.read_address(method + at(layout().builtin_function.m_ml));
      const Result<Address> text =
          definition ? reading_.lasting.read_address(*definition + at(layout().method_def.ml_name))
                     : definition;
      const Result<std::string> found =
          text ? reading_.lasting.read_c_string(*text, 64) : Result<std::string>(text.error());
      if (found && *found == name) return true;
    }
    return false;
  }

  // ---- a program's own class

  // The attribute that its __exit__ releases, whether it does so itself or by a method of its own.
  std::vector<ManagedLock> of_own_class(Address manager, Address type, int depth) {
    std::vector<std::pair<std::string, ManagedLock>> owned;
    const Result<DictItems> items = read_attributes(layout(), reading_.memory, manager, max_attributes);
    if (!items) return {};
    for (const DictEntry& entry : items->entries) {
      const PySyncObject* known = describe_sync_object(reading_, entry.value);
      if (known == nullptr && !is_wrapper(entry.value)) continue;
      const Result<StrValue> name = read_str(layout(), reading_.lasting, entry.key, max_name_length);
      if (!name) continue;
      for (ManagedLock& lock : locks_of(entry.value, depth + 1))
        owned.emplace_back(name->text, std::move(lock));
    }
    if (owned.empty()) return {};
    std::vector<std::string> names = released_by(type, "__exit__", 0);
    if (names.empty()) names = released_by(type, "__aexit__", 0);
    std::vector<ManagedLock> held;
    for (auto& [name, lock] : owned) {
      if (std::find(names.begin(), names.end(), name) == names.end()) continue;
      lock.trust = weaker(lock.trust, PyHoldTrust::inferred);
      lock.rule = "wrapper-exit";
      lock.evidence =
          "a with block on an object is open in one of its frames whose __exit__ releases its " + name;
      held.push_back(lock);
    }
    if (!held.empty() || owned.size() != 1) return held;
    ManagedLock& only = owned.front().second;
    only.trust = PyHoldTrust::likely;
    only.rule = "manager-attribute";
    only.evidence = "a with block on an object is open in one of its frames, and " + owned.front().first +
                    " is the only lock among its attributes";
    return {only};
  }

  // Worth asking for locks of its own: an instance of a class that has an __exit__.
  bool is_wrapper(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return false;
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.lasting, *type);
    if (!flags || (*flags & type_flag::heap_type) == 0 || (*flags & type_flag::type_subclass) != 0)
      return false;
    return find_in_classes(*type, "__exit__").has_value();
  }

  std::optional<Address> find_in_classes(Address type, std::string_view name) {
    for (int depth = 0; depth < 16 && !type.is_null(); ++depth) {
      const Result<std::uint64_t> flags = type_flags(layout(), reading_.lasting, type);
      if (!flags || (*flags & type_flag::heap_type) == 0) return std::nullopt;
      const Result<Address> dict = reading_.memory.read_address(type + at(layout().type.tp_dict));
      if (dict && !dict->is_null()) {
        const Result<std::optional<Address>> found = find_in_dict(layout(), reading_.memory, *dict, name);
        if (found && *found) return **found;
      }
      const Result<Address> base = reading_.lasting.read_address(type + at(layout().type.tp_base));
      if (!base) return std::nullopt;
      type = *base;
    }
    return std::nullopt;
  }

  // The names beside `release`, `__exit__` or `__aexit__` in a method's code, and in the methods that it
  // names in turn.
  std::vector<std::string> released_by(Address type, std::string_view method, int depth) {
    const std::optional<Address> function = find_in_classes(type, method);
    if (!function || depth > 2) return {};
    const Result<Address> of = type_of(layout(), reading_.memory, *function);
    const Result<std::string> kind =
        of ? type_name(layout(), reading_.lasting, *of) : Result<std::string>(of.error());
    if (!kind || *kind != "function" || !layout().function.func_code.exists()) return {};
    const Result<Address> code = reading_.memory.read_address(*function + at(layout().function.func_code));
    const Result<Address> tuple =
        code ? reading_.lasting.read_address(*code + at(layout().code.co_names)) : code;
    if (!tuple) return {};
    const Result<Items> items = read_tuple(layout(), reading_.lasting, *tuple, max_names);
    if (!items) return {};
    std::vector<std::string> names;
    bool gives_back = false;
    for (const Address item : items->items) {
      const Result<StrValue> name = read_str(layout(), reading_.lasting, item, max_name_length);
      if (!name) continue;
      if (name->text == "release" || name->text == "__exit__" || name->text == "__aexit__") gives_back = true;
      names.push_back(name->text);
    }
    std::vector<std::string> inner;
    for (const std::string& name : names) {
      if (name == method) continue;
      const std::vector<std::string> more = released_by(type, name, depth + 1);
      inner.insert(inner.end(), more.begin(), more.end());
    }
    if (!gives_back) names.clear();
    names.insert(names.end(), inner.begin(), inner.end());
    return names;
  }

  Reading& reading_;
};

}  // namespace

std::vector<ManagedLock> locks_of_manager(Reading& reading, Address manager) {
  return Managers(reading).locks_of(manager, 0);
}

}  // namespace pythreads::pyframes
