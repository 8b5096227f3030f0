#include "pyframes/lock_names.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pyframes/code.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/library_modules.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_wanted = 512;       // objects that are named
constexpr std::size_t max_searches = 512;     // threads whose frames are searched
constexpr std::size_t max_frames = 24;        // of one thread
constexpr std::size_t max_globals = 8192;     // names of one module
constexpr std::size_t max_attributes = 256;   // of one object
constexpr std::size_t max_elements = 256;     // of one container
constexpr std::size_t max_objects = 20'000;   // looked into, all together
constexpr std::size_t threads_an_object = 3;  // whose frames are searched for its name
constexpr std::size_t mentioning_threads = 64;
constexpr std::size_t mentioning_frames = 8;

// From what says most to what says least.
enum class NameRank { module_variable, class_variable, attribute, element, local_variable, inside, none };

struct Name {
  NameRank rank = NameRank::none;
  std::string text;
};

class NameSearch {
 public:
  NameSearch(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    collect_wanted();
    if (wanted_.empty()) return;
    find_parts();
    find_main_module();
    for (const auto& [interpreter, thread] : order_) {
      if (searches_++ >= max_searches || all_named()) break;
      search_thread(copy_.interpreters[interpreter].threads[thread]);
    }
    name_insides();
    for (PySyncObject& object : state_.sync_objects) {
      const auto found = wanted_.find(object.address);
      if (found != wanted_.end()) object.name = found->second.text;
    }
    find_mentions();
  }

 private:
  using ThreadAt = std::pair<std::size_t, std::size_t>;  // interpreter, thread
  const RuntimeLayout& layout() const { return reading_.layout(); }

  template <typename Visit>
  void for_each_thread(Visit visit) {
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      std::vector<PyThread>& threads = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), copy_.interpreters[i].threads.size()); ++j)
        visit(ThreadAt{i, j}, threads[j]);
    }
  }

  // ---- what is to be named, and by whose frames

  void want(Address object, ThreadAt at) {
    if (object.is_null() || (wanted_.size() >= max_wanted && !wanted_.contains(object))) return;
    wanted_.try_emplace(object);
    std::size_t& asked = asked_[object];
    if (asked++ >= threads_an_object) return;
    if (std::find(order_.begin(), order_.end(), at) == order_.end()) order_.push_back(at);
  }

  void collect_wanted() {
    std::set<Address> waited;
    for_each_thread([&](ThreadAt at, PyThread& thread) {
      if (!thread.lock_wait) return;
      // Inside Condition.wait it is a lock that was made for this one wait, and nobody knows it by a name.
      for (const PyFrameObject& each : thread.frame_objects)
        want(each.object, at), waited.insert(each.object);
      if (!waits_on_private_lock(at)) want(thread.lock_wait->object, at);
      waited.insert(thread.lock_wait->object);
    });
    for_each_thread([&](ThreadAt at, PyThread& thread) {
      for (const PyHeldLock& held : thread.held) {
        if (thread.lock_wait || waited.contains(held.object)) want(held.object, at);
      }
    });
  }

  bool waits_on_private_lock(ThreadAt at) {
    const ThreadCopy& thread = copy_.interpreters[at.first].threads[at.second];
    if (thread.frames.empty() || module_of(reading_, thread.frames.front()) != "threading") return false;
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, thread.frames.front().code);
    return code && ((*code)->name == "wait" || (*code)->name == "_wait_for_tstate_lock");
  }

  // Once all have a name, nothing more is looked through. The Condition inside of an Event (a Semaphore, a
  // Queue) that is wanted itself is called after it.
  bool all_named() const {
    return std::all_of(wanted_.begin(), wanted_.end(), [&](const auto& each) {
      return each.second.rank <= NameRank::attribute || parts_.contains(each.first);
    });
  }

  void find_parts() {
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

  // ---- candidates for a name

  void found(Address object, NameRank rank, const std::string& text) {
    const auto at = wanted_.find(object);
    if (at == wanted_.end() || at->second.rank <= rank) return;
    at->second = {rank, text};
  }
  bool is_wanted(Address object) const { return wanted_.contains(object); }

  void search_thread(const ThreadCopy& thread) {
    const std::size_t count = std::min(thread.frames.size(), max_frames);
    for (std::size_t i = 0; i < count; ++i) search_frame(thread.frames[i]);
  }

  void search_frame(const FrameCopy& frame) {
    const std::string module = shown_module(frame);
    search_globals(frame, module);
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    const std::string function = code ? (*code)->qualified_name : std::string();
    const bool library = is_library_module(module);
    for (const FrameVariable& each : frame_variables(reading_, frame).variables) {
      const std::string text =
          module + '.' + (function == "<module>" ? each.name : function + '.' + each.name);
      if (is_wanted(each.object))
        found(each.object, library ? NameRank::inside : NameRank::local_variable, text);
      search_object(each.object, text, library);
    }
  }

  void search_globals(const FrameCopy& frame, const std::string& module) {
    const Address globals = globals_of(layout(), frame);
    if (globals.is_null() || !seen_.insert(globals).second) return;
    const Result<DictItems> items = read_dict(layout(), reading_.memory, globals, max_globals);
    if (!items) return;
    const bool library = is_library_module(module);
    std::vector<DictEntry> containers;
    for (const DictEntry& entry : items->entries) {
      if (!is_wanted(entry.value)) continue;
      if (const std::optional<std::string> name = text_of(entry.key))
        found(entry.value, library ? NameRank::inside : NameRank::module_variable, module + '.' + *name);
    }
    if (library) return;
    // Only what is not named yet is worth opening every container of a module.
    if (all_named()) return;
    for (const DictEntry& entry : items->entries) {
      if (all_named()) return;
      if (!may_contain(entry.value)) continue;
      if (const std::optional<std::string> name = text_of(entry.key))
        search_object(entry.value, module + '.' + *name, false);
    }
  }

  // An instance's attributes, its class's, and the elements of a container; one step deep.
  void search_object(Address object, const std::string& path, bool library) {
    if (!seen_.insert(object).second || seen_.size() > max_objects) return;
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return;
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, *type);
    if (!flags) return;
    if ((*flags & (type_flag::list_subclass | type_flag::tuple_subclass | type_flag::dict_subclass)) != 0) {
      search_container(object, *flags, path, library);
    } else if ((*flags & type_flag::type_subclass) != 0) {
      search_class(object);
    } else if ((*flags & type_flag::heap_type) != 0) {
      search_class(*type);
      search_attributes(object, *type, path);
    }
  }

  // A library's object is called by where it stands, for its class says nothing of the program.
  void search_attributes(Address object, Address type, const std::string& path) {
    const Result<DictItems> items = read_attributes(layout(), reading_.memory, object, max_attributes);
    if (!items) return;
    for (const DictEntry& entry : items->entries) {
      if (!is_wanted(entry.value)) continue;
      const std::optional<std::string> name = text_of(entry.key);
      const std::string class_name = shown_class(type);
      if (!name || class_name.empty()) continue;
      if (is_library_module(class_name)) {
        found(entry.value, NameRank::inside, path + '.' + *name);
      } else {
        found(entry.value, NameRank::attribute, class_name + '.' + *name);
      }
    }
  }

  void search_class(Address type) {
    for (int depth = 0; depth < 16 && !type.is_null(); ++depth) {
      if (!seen_classes_.insert(type).second) return;
      const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, type);
      if (!flags || (*flags & type_flag::heap_type) == 0) return;
      const Result<Address> dict =
          reading_.memory.read_address(type + static_cast<std::uint64_t>(layout().type.tp_dict.offset));
      const Result<DictItems> items =
          dict ? read_dict(layout(), reading_.memory, *dict, max_attributes) : dict.error();
      if (items) {
        for (const DictEntry& entry : items->entries) {
          if (!is_wanted(entry.value)) continue;
          const std::optional<std::string> name = text_of(entry.key);
          const std::string class_name = shown_class(type);
          if (name && !class_name.empty())
            found(entry.value, NameRank::class_variable, class_name + '.' + *name);
        }
      }
      const Result<Address> base =
          reading_.memory.read_address(type + static_cast<std::uint64_t>(layout().type.tp_base.offset));
      if (!base) return;
      type = *base;
    }
  }

  void search_container(Address object, std::uint64_t flags, const std::string& path, bool library) {
    const NameRank rank = library ? NameRank::inside : NameRank::element;
    if ((flags & type_flag::dict_subclass) != 0) {
      const Result<DictItems> items = read_dict(layout(), reading_.memory, object, max_elements);
      if (!items) return;
      for (const DictEntry& entry : items->entries) {
        if (is_wanted(entry.value)) {
          const std::optional<std::string> key = key_of(entry.key);
          if (key) found(entry.value, rank, path + '[' + *key + ']');
        } else {
          search_element(entry.value, path + "[…]");
        }
      }
      return;
    }
    const Result<Items> items = (flags & type_flag::list_subclass) != 0
                                    ? read_list(layout(), reading_.memory, object, max_elements)
                                    : read_tuple(layout(), reading_.memory, object, max_elements);
    if (!items) return;
    for (std::size_t i = 0; i < items->items.size(); ++i) {
      if (is_wanted(items->items[i])) {
        found(items->items[i], rank, path + '[' + std::to_string(i) + ']');
      } else {
        search_element(items->items[i], path + '[' + std::to_string(i) + ']');
      }
    }
  }

  // `accounts["alice"]._lock` is called by its class: `bank.Account._lock`.
  void search_element(Address element, const std::string& path) {
    if (all_named() || !seen_.insert(element).second || seen_.size() > max_objects) return;
    const Result<Address> type = type_of(layout(), reading_.memory, element);
    if (!type || type->is_null()) return;
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, *type);
    if (flags && (*flags & type_flag::heap_type) != 0 && (*flags & type_flag::type_subclass) == 0)
      search_attributes(element, *type, path);
  }

  bool may_contain(Address object) {
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, object);
    if (!flags) return false;
    constexpr std::uint64_t containers =
        type_flag::list_subclass | type_flag::tuple_subclass | type_flag::dict_subclass;
    const bool instance = (*flags & type_flag::heap_type) != 0 && (*flags & type_flag::type_subclass) == 0;
    return instance || (*flags & containers) != 0;
  }

  // The lock inside of a Condition that has a name is `NAME._lock`, where nothing better was found.
  void name_insides() {
    for (const PySyncObject& object : state_.sync_objects) {
      const auto inner = wanted_.find(object.lock);
      const auto outer = wanted_.find(object.address);
      if (object.lock.is_null() || inner == wanted_.end() || outer == wanted_.end()) continue;
      if (inner->second.rank < NameRank::inside || outer->second.rank >= NameRank::inside) continue;
      const bool queue = object.kind == PySyncKind::queue;
      inner->second = {NameRank::inside, outer->second.text + (queue ? ".mutex" : "._lock")};
    }
  }

  // ---- who mentions a lock that nobody is seen to hold

  void find_mentions() {
    std::set<Address> unowned;
    for_each_thread([&](ThreadAt at, PyThread& thread) {
      if (!thread.lock_wait || waits_on_private_lock(at)) return;
      const PySyncObject* object = find_sync_object(state_, thread.lock_wait->object);
      if (object != nullptr && object->kind == PySyncKind::lock) unowned.insert(object->address);
    });
    for_each_thread([&](ThreadAt, PyThread& thread) {
      for (const PyHeldLock& held : thread.held) unowned.erase(held.object);
    });
    if (unowned.empty()) return;
    std::size_t looked = 0;
    for_each_thread([&](ThreadAt at, PyThread& thread) {
      if (looked++ >= mentioning_threads) return;
      const ThreadCopy& frames = copy_.interpreters[at.first].threads[at.second];
      for (std::size_t i = 0; i < std::min(frames.frames.size(), mentioning_frames); ++i)
        mentions_of(frames.frames[i], i, unowned, thread);
    });
  }

  void mentions_of(const FrameCopy& frame, std::size_t index, const std::set<Address>& unowned,
                   PyThread& thread) {
    if (is_library_frame(reading_, frame)) return;
    const auto mention = [&](Address object, std::string expression) {
      const bool waits = thread.lock_wait && thread.lock_wait->object == object;
      const bool known = std::any_of(thread.mentions.begin(), thread.mentions.end(),
                                     [&](const PyMention& each) { return each.object == object; });
      if (!waits && !known) thread.mentions.push_back({object, index, std::move(expression)});
    };
    for (const FrameVariable& each : frame_variables(reading_, frame).variables) {
      if (unowned.contains(each.object)) mention(each.object, each.name);
      if (each.name != "self" && each.name != "cls") continue;
      const Result<DictItems> items = read_attributes(layout(), reading_.memory, each.object, max_attributes);
      if (!items) continue;
      for (const DictEntry& entry : items->entries) {
        if (!unowned.contains(entry.value)) continue;
        if (const std::optional<std::string> name = text_of(entry.key))
          mention(entry.value, each.name + '.' + *name);
      }
    }
  }

  // ---- texts

  std::optional<std::string> text_of(Address object) {
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.lasting, object);
    if (!flags || (*flags & type_flag::unicode_subclass) == 0) return std::nullopt;
    const Result<StrValue> text = read_str(layout(), reading_.lasting, object, max_name_length);
    if (!text) return std::nullopt;
    return text->text;
  }

  // A str or an int between the brackets; other keys say nothing to a reader.
  std::optional<std::string> key_of(Address object) {
    constexpr std::size_t longest_key = 40;
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, object);
    if (!flags) return std::nullopt;
    if ((*flags & type_flag::unicode_subclass) != 0) {
      const Result<StrValue> text = read_str(layout(), reading_.memory, object, longest_key);
      if (!text) return std::nullopt;
      return '\'' + text->text + (text->cut ? "…'" : "'");
    }
    if ((*flags & type_flag::long_subclass) == 0) return std::nullopt;
    const Result<IntValue> number = read_int(layout(), reading_.memory, object);
    const std::optional<std::int64_t> value = number ? number->as_int64() : std::nullopt;
    if (!value) return std::nullopt;
    return std::to_string(*value);
  }

  // `__main__` is called as other modules would import it: after its package and its file.
  void find_main_module() {
    for (const InterpreterCopy& interpreter : copy_.interpreters) {
      for (const ThreadCopy& thread : interpreter.threads) {
        for (auto frame = thread.frames.rbegin(); frame != thread.frames.rend(); ++frame) {
          if (module_of(reading_, *frame) != "__main__") continue;
          main_module_ = main_module_of(*frame);
          return;
        }
      }
    }
  }

  // `__file__` is deleted when the script has come to its end; its code still knows the file.
  std::string main_module_of(const FrameCopy& frame) {
    const Address globals = globals_of(layout(), frame);
    const auto text = [&](std::string_view key) {
      const Result<std::optional<Address>> value = find_in_dict(layout(), reading_.lasting, globals, key);
      return value && *value ? text_of(**value).value_or("") : std::string();
    };
    const std::string package = text("__package__");
    std::string file = text("__file__");
    if (file.empty()) {
      const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
      if (code && (*code)->file.ends_with(".py")) file = (*code)->file;
    }
    std::string stem = file.substr(file.rfind('/') + 1);
    if (stem.ends_with(".py")) stem.resize(stem.size() - 3);
    if (stem == "__main__") stem.clear();
    if (package.empty()) return stem.empty() ? "__main__" : stem;
    return stem.empty() ? package : package + '.' + stem;
  }

  std::string shown_module(const FrameCopy& frame) {
    std::string module = module_of(reading_, frame);
    return module == "__main__" ? main_module_ : module;
  }

  std::string shown_class(Address type) {
    const auto known = class_names_.find(type);
    if (known != class_names_.end()) return known->second;
    const Result<std::string> name = qualified_type_name(layout(), reading_.lasting, type);
    std::string text = name ? *name : std::string();
    constexpr std::string_view main = "__main__.";
    if (text.starts_with(main)) text = main_module_ + '.' + text.substr(main.size());
    class_names_.emplace(type, text);
    return text;
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::unordered_map<Address, Name> wanted_;
  std::unordered_set<Address> parts_;
  std::unordered_map<Address, std::size_t> asked_;
  std::vector<ThreadAt> order_;
  std::size_t searches_ = 0;
  std::unordered_set<Address> seen_, seen_classes_;
  std::map<Address, std::string> class_names_;
  std::string main_module_ = "__main__";
};

}  // namespace

void read_lock_names(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  NameSearch(reading, copy, state).run();
}

}  // namespace pythreads::pyframes
