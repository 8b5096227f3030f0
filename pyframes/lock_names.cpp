#include "pyframes/lock_names.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
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
#include "pyframes/slots.h"
#include "pyframes/source_names.h"
#include "pyframes/wanted_names.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_searches = 512;          // threads whose frames are searched
constexpr std::size_t max_frames = 24;             // of one thread
constexpr std::size_t max_globals = 8192;          // names of one module
constexpr std::size_t max_modules = 256;           // that modules of frames refer to
constexpr std::size_t max_attributes = 256;        // of one object
constexpr std::size_t max_elements = 8192;         // of one container
constexpr std::size_t opened_elements = 256;       // of one container, that are looked into
constexpr std::size_t all_elements = 500'000;      // of all containers together
constexpr std::size_t max_objects = 20'000;        // looked into, all together
constexpr std::size_t objects_of_modules = 4'000;  // in modules that no frame is of

constexpr std::uint64_t containers =
    type_flag::list_subclass | type_flag::tuple_subclass | type_flag::dict_subclass;

bool is_private(std::string_view class_name) {
  return class_name.substr(class_name.rfind('.') + 1).starts_with('_');
}

std::string below(const std::string& path, const std::string& name) {
  return path.empty() ? "" : path + '.' + name;
}
std::string item(const std::string& path, const std::string& key) {
  return path.empty() ? "" : path + '[' + key + ']';
}

class NameSearch {
 public:
  NameSearch(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state), names_(reading, copy), wanted_(reading, copy, state) {}

  void run() {
    if (wanted_.empty()) return;
    search(wanted_.threads(), [&] { return wanted_.all_named(); });
    // Where no frame led to a lock, it may lie in a module that is only referred to.
    most_ = std::min(max_objects, opened() + objects_of_modules);
    if (wanted_.seeks_locks()) search_modules();
    most_ = max_objects;
    // What is only held is worth no more than a look at what its holders have at hand.
    deep_ = false;
    search(wanted_.threads_in_passing(), [&] { return wanted_.all_named_in_passing(); });
    wanted_.tell(state_);
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }

  // ---- candidates for a name

  template <typename Done>
  void search(const std::vector<ThreadAt>& threads, Done done) {
    for (const ThreadAt& at : threads) {
      if (searches_ >= max_searches || done()) return;
      ++searches_;
      wanted_.next_search();
      const ThreadCopy& thread = copy_.interpreters[at.interpreter].threads[at.thread];
      const std::size_t count = std::min(thread.frames.size(), max_frames);
      for (std::size_t i = 0; i < count; ++i) search_frame(thread.frames[i]);
    }
  }

  // The variables of a library's functions are no names: they lead to objects, no more.
  void search_frame(const FrameCopy& frame) {
    const std::string module = names_.module(frame);
    search_globals(globals_of(layout(), frame), module);
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    const std::string function = code ? (*code)->qualified_name.str() : std::string();
    const bool library = names_.is_library(module, code ? (*code)->file.str() : std::string());
    for (const FrameVariable& each : frame_variables(reading_, frame).variables) {
      std::string text;
      if (!library) text = module + '.' + (function == "<module>" ? each.name : function + '.' + each.name);
      wanted_.found(each.object, NameRank::local_variable, text);
      search_object(each.object, text);
    }
  }

  void search_globals(Address globals, const std::string& module) {
    if (globals.is_null() || !seen_.insert(globals).second) return;
    const Result<DictItems> items = read_dict(layout(), reading_.memory, globals, max_globals);
    if (!items) return;
    const bool library = is_library_module(module);
    for (const DictEntry& entry : items->entries) {
      if (!wanted_.contains(entry.value)) continue;
      if (const std::optional<std::string> name = names_.text(entry.key))
        wanted_.found(entry.value, library ? NameRank::inside : NameRank::module_variable,
                      module + '.' + *name);
    }
    if (library || !deep_) return;
    // Only what is not named yet is worth opening every container of a module.
    for (const DictEntry& entry : items->entries) {
      if (wanted_.all_named() || opened() > most_) return;
      const Result<Address> type = type_of(layout(), reading_.memory, entry.value);
      if (!type || type->is_null()) continue;
      if (is_module_type(*type)) {
        if (modules_.size() < max_modules) modules_.push_back(entry.value);
        continue;
      }
      const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, *type);
      if (!flags) continue;
      if ((*flags & type_flag::type_subclass) != 0) {
        search_class(entry.value);
      } else if ((*flags & (type_flag::heap_type | containers)) != 0) {
        if (const std::optional<std::string> name = names_.text(entry.key))
          search_object(entry.value, module + '.' + *name);
      }
    }
  }

  // `with config.lock:`, where no frame of config stands on a stack.
  void search_modules() {
    const std::vector<Address> modules = std::exchange(modules_, {});
    for (const Address module : modules) {
      if (wanted_.seeks_locks()) search_module(module);
    }
  }

  void search_module(Address module) {
    if (!seen_.insert(module).second) return;
    const Result<Address> dict =
        reading_.memory.read_address(module + static_cast<std::uint64_t>(layout().module.md_dict.offset));
    if (!dict || dict->is_null() || seen_.contains(*dict)) return;
    const auto text_under = [&](std::string_view key) {
      const Result<std::optional<Address>> value = find_in_dict(layout(), reading_.lasting, *dict, key);
      return value && *value ? names_.text(**value).value_or("") : std::string();
    };
    const std::string name = names_.module(text_under("__name__")), file = text_under("__file__");
    if (name.empty() || file.empty() || names_.is_library(name, file)) return;
    search_globals(*dict, name);
  }

  bool is_module_type(Address type) {
    if (type == module_type_) return true;
    if (!module_type_.is_null() || !layout().module.md_dict.exists()) return false;
    const auto [known, added] = other_types_.insert(type);
    if (!added) return false;
    const Result<std::string> name = type_name(layout(), reading_.lasting, type);
    if (!name || *name != "module") return false;
    module_type_ = type;
    return true;
  }

  // An instance's attributes, its class's, and the elements of a container; one step deep. Without a `path`
  // it has no name of its own.
  void search_object(Address object, const std::string& path) {
    if (!may_open(object, path)) return;
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return;
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, *type);
    if (!flags) return;
    if ((*flags & containers) != 0) {
      search_container(object, *flags, path, NameRank::element);
    } else if ((*flags & type_flag::type_subclass) != 0) {
      search_class(object);
    } else if ((*flags & type_flag::heap_type) != 0) {
      search_class(*type);
      search_attributes(object, *type, path, deep_);
    }
  }

  std::size_t opened() const { return seen_.size() + seen_unnamed_.size() + seen_classes_.size(); }

  // Once with a path and once without one.
  bool may_open(Address object, const std::string& path) {
    if (opened() > most_) return false;
    return (path.empty() ? seen_unnamed_ : seen_).insert(object).second;
  }

  // A library's object is called by where it stands, for its class says nothing of the program; by its class
  // where nothing else leads to it, as a handler's `logging.Handler.lock`.
  void search_attributes(Address object, Address type, const std::string& path, bool open) {
    const std::string class_name = names_.class_of(type);
    if (class_name.empty()) return;
    const bool library = is_library_module(class_name);
    const std::string owner = !library || (path.empty() && !is_private(class_name)) ? class_name : path;
    const NameRank rank = library ? NameRank::inside : NameRank::attribute;
    std::vector<DictEntry> others;
    const auto visit = [&](const DictEntry& entry) {
      if (!wanted_.contains(entry.value)) {
        if (open && !library) others.push_back(entry);
      } else if (const std::optional<std::string> name = names_.text(entry.key)) {
        wanted_.found(entry.value, rank, below(owner, *name));
      }
    };
    if (const Result<DictItems> items = read_attributes(layout(), reading_.memory, object, max_attributes)) {
      for (const DictEntry& entry : items->entries) visit(entry);
    }
    for (const Slot& slot : slots(type)) {
      const Result<Address> value = reading_.memory.read_address(object + slot.offset);
      if (value && !value->is_null()) visit({slot.name, *value});
    }
    open_containers(others, owner);
  }

  const std::vector<Slot>& slots(Address type) {
    const auto [known, added] = slots_.try_emplace(type);
    if (added) known->second = slots_of(reading_, type, max_attributes);
    return known->second;
  }

  // `self.locks["alice"]` is called by its class: `bank.Bank.locks['alice']`.
  void open_containers(const std::vector<DictEntry>& entries, const std::string& owner) {
    for (const DictEntry& entry : entries) {
      if (wanted_.all_named()) return;
      const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, entry.value);
      if (!flags || (*flags & containers) == 0) continue;
      const std::optional<std::string> name = names_.text(entry.key);
      const std::string path = name ? below(owner, *name) : "";
      if (may_open(entry.value, path)) search_container(entry.value, *flags, path, NameRank::element);
    }
  }

  void search_class(Address type) {
    for (int depth = 0; depth < 16 && !type.is_null(); ++depth) {
      if (opened() > most_ || !seen_classes_.insert(type).second) return;
      const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, type);
      if (!flags || (*flags & type_flag::heap_type) == 0) return;
      search_class_variables(type);
      const Result<Address> base =
          reading_.memory.read_address(type + static_cast<std::uint64_t>(layout().type.tp_base.offset));
      if (!base) return;
      type = *base;
    }
  }

  void search_class_variables(Address type) {
    const Result<Address> dict =
        reading_.memory.read_address(type + static_cast<std::uint64_t>(layout().type.tp_dict.offset));
    if (!dict || dict->is_null()) return;
    const Result<DictItems> items = read_dict(layout(), reading_.memory, *dict, max_attributes);
    if (!items) return;
    std::vector<DictEntry> others;
    for (const DictEntry& entry : items->entries) {
      if (!wanted_.contains(entry.value)) {
        others.push_back(entry);
        continue;
      }
      const std::optional<std::string> name = names_.text(entry.key);
      const std::string class_name = names_.class_of(type);
      if (!name || class_name.empty()) continue;
      const bool library = is_library_module(class_name);
      wanted_.found(entry.value, library ? NameRank::inside : NameRank::class_variable,
                    class_name + '.' + *name);
    }
    if (deep_ && !wanted_.all_named() && !is_library_module(names_.class_of(type)))
      open_containers(others, names_.class_of(type));
  }

  void search_container(Address object, std::uint64_t flags, const std::string& path, NameRank rank) {
    std::size_t index = 0;
    const auto visit = [&](Address element, Address key) {
      const std::size_t at = index++;
      const auto text = [&] {
        return path.empty() ? "" : item(path, key.is_null() ? std::to_string(at) : names_.key(key));
      };
      if (wanted_.contains(element)) {
        wanted_.found(element, rank, text());
      } else if (at < opened_elements) {
        search_element(element, item(path, key.is_null() ? std::to_string(at) : "…"));
      }
    };
    const std::size_t limit = std::min(max_elements, elements_left_);
    if ((flags & type_flag::dict_subclass) != 0) {
      const Result<DictItems> items = read_dict(layout(), reading_.memory, object, limit);
      if (!items) return;
      elements_left_ -= std::min(elements_left_, items->entries.size());
      for (const DictEntry& entry : items->entries) visit(entry.value, entry.key);
      return;
    }
    const Result<Items> items = (flags & type_flag::list_subclass) != 0
                                    ? read_list(layout(), reading_.memory, object, limit)
                                    : read_tuple(layout(), reading_.memory, object, limit);
    if (!items) return;
    elements_left_ -= std::min(elements_left_, items->items.size());
    for (const Address each : items->items) visit(each, Address());
  }

  // `accounts["alice"]._lock` is called by its class: `bank.Account._lock`.
  void search_element(Address element, const std::string& path) {
    if (wanted_.all_named() || !may_open(element, path)) return;
    const Result<Address> type = type_of(layout(), reading_.memory, element);
    if (!type || type->is_null()) return;
    const Result<std::uint64_t> flags = type_flags(layout(), reading_.memory, *type);
    if (flags && (*flags & type_flag::heap_type) != 0 && (*flags & type_flag::type_subclass) == 0)
      search_attributes(element, *type, path, false);
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  SourceNames names_;
  WantedNames wanted_;
  std::vector<Address> modules_;
  std::size_t searches_ = 0, elements_left_ = all_elements, most_ = max_objects;
  bool deep_ = true;
  std::unordered_set<Address> seen_, seen_unnamed_, seen_classes_, other_types_;
  std::unordered_map<Address, std::vector<Slot>> slots_;
  Address module_type_;
};

}  // namespace

void read_lock_names(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  NameSearch(reading, copy, state).run();
}

}  // namespace pythreads::pyframes
