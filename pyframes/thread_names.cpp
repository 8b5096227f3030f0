#include "pyframes/thread_names.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_thread_name = 256;
constexpr std::uint64_t bytes_before = 32;  // of an object: where 3.11 to 3.14 keep its attributes
constexpr std::uint64_t instance_bytes = 256;
constexpr std::uint64_t attributes_bytes = 192;
constexpr std::uint64_t dict_head_bytes = 32;  // ma_used, ma_version_tag, ma_keys, ma_values
constexpr std::uint64_t keys_head_bytes = 40;  // up to dk_nentries, in every version

struct ThreadName {
  std::string name;
  std::optional<bool> daemon;
};

attach::Error missing(const std::string& what) {
  return attach::Error{attach::ErrorCode::unreadable, "there is no " + what, ""};
}

// One interpreter's module threading; null: it was not imported. Then nobody has a name, and that is no gap.
Result<Address> find_threading(Reading& reading, const InterpreterCopy& interpreter) {
  const RuntimeLayout& layout = reading.layout();
  const std::optional<Address> modules = interpreter.interpreter.pointer(layout.interpreter.modules);
  if (!modules) return missing("place for sys.modules in the layout");
  if (modules->is_null()) return missing("sys.modules yet");
  Result<std::optional<Address>> threading =
      find_in_dict(layout, reading.memory, *modules, "threading", reading.key_search());
  if (!threading) return std::move(threading).error().within("sys.modules");
  return threading->value_or(Address());
}

// A dict of threading's: {ident: Thread} of those that run, {Thread: Thread} of those that are being started.
Result<Address> find_table(Reading& reading, Address threading, std::string_view name) {
  const RuntimeLayout& layout = reading.layout();
  const std::string spoken = "threading." + std::string(name);
  Result<std::optional<Address>> dict =
      find_in_module(layout, reading.memory, threading, name, reading.key_search());
  if (!dict) return std::move(dict).error().within("threading");
  if (!*dict) return missing(spoken);
  Result<std::uint64_t> flags = object_flags(layout, reading.memory, **dict);
  if (!flags) return std::move(flags).error().within(spoken);
  if ((*flags & type_flag::dict_subclass) == 0) return missing("dict in " + spoken);
  return **dict;
}

Result<DictItems> read_threads(Reading& reading, Address threading, std::string_view name) {
  const Result<Address> table = find_table(reading, threading, name);
  if (!table) return table.error();
  Result<DictItems> items = read_dict(reading.layout(), reading.memory, *table, reading.options.max_threads);
  if (!items) return std::move(items).error().within("threading." + std::string(name));
  return items;
}

// Touches in three waves what each Thread's attributes are made of. `values` may hold anything.
void prefetch_threads(const RuntimeLayout& layout, attach::Memory& memory,
                      const std::vector<DictEntry>& entries) {
  std::vector<attach::Range> wave;
  for (const DictEntry& entry : entries) {
    wave.push_back({entry.key, static_cast<std::uint64_t>(layout.object.size) + 16});
    wave.push_back({entry.value - bytes_before, instance_bytes});
  }
  memory.prefetch(wave);

  // Where the attributes are: whatever pointer the style keeps beside the object.
  wave.clear();
  std::vector<Address> storages;
  for (const DictEntry& entry : entries) {
    for (const std::int64_t offset : {-32, -24, -8, layout.object.size}) {
      const bool before = layout.attribute_style != AttributeStyle::dict_offset;
      if (before != (offset < 0)) continue;
      const Result<Address> storage = memory.read_address(entry.value + static_cast<std::uint64_t>(offset));
      if (!storage || storage->is_null()) continue;
      storages.push_back(Address(storage->value & ~std::uint64_t{7}));
      wave.push_back({storages.back(), attributes_bytes});
    }
  }
  memory.prefetch(wave);

  // A dict's keys and values are behind it.
  wave.clear();
  for (const Address storage : storages) {
    for (const PointerField field : {layout.dict.ma_keys, layout.dict.ma_values}) {
      if (!field.exists()) continue;
      const Result<Address> part = memory.read_address(storage + static_cast<std::uint64_t>(field.offset));
      if (part && !part->is_null()) wave.push_back({*part, attributes_bytes});
    }
  }
  memory.prefetch(wave);
}

std::optional<bool> read_bool(const RuntimeLayout& layout, attach::Memory& memory, Address object) {
  const Result<std::uint64_t> flags = object_flags(layout, memory, object);
  if (!flags || (*flags & type_flag::long_subclass) == 0) return std::nullopt;
  const Result<IntValue> value = read_int(layout, memory, object);
  if (!value) return std::nullopt;
  const std::optional<std::int64_t> number = value->as_int64();
  if (!number) return std::nullopt;
  return *number != 0;
}

std::optional<std::uint64_t> read_ident(const RuntimeLayout& layout, attach::Memory& memory, Address object) {
  const Result<std::uint64_t> flags = object_flags(layout, memory, object);
  if (!flags || (*flags & type_flag::long_subclass) == 0) return std::nullopt;
  const Result<IntValue> value = read_int(layout, memory, object);
  if (!value || value->cut) return std::nullopt;
  return value->as_uint64();
}

Result<ThreadName> read_thread(const RuntimeLayout& layout, attach::Memory& memory, Address thread) {
  ThreadName result;
  Result<std::optional<Address>> name = find_attribute(layout, memory, thread, "_name");
  if (!name) return std::move(name).error();
  if (*name) {
    const Result<std::uint64_t> flags = object_flags(layout, memory, **name);
    if (flags && (*flags & type_flag::unicode_subclass) != 0) {
      Result<StrValue> text = read_str(layout, memory, **name, max_thread_name);
      if (!text) return std::move(text).error();
      result.name = text->cut ? text->text + "…" : std::move(text->text);
    }
  }
  const Result<std::optional<Address>> daemon = find_attribute(layout, memory, thread, "_daemonic");
  if (daemon && *daemon) result.daemon = read_bool(layout, memory, **daemon);
  return result;
}

using ThreadNames = std::unordered_map<std::uint64_t, ThreadName>;

// Of a thread that has told its ident already and is not in the table of those that run yet.
void add_started(Reading& reading, Address threading, ThreadNames& names) {
  const RuntimeLayout& layout = reading.layout();
  const Result<DictItems> items = read_threads(reading, threading, "_limbo");
  if (!items) return;
  for (const DictEntry& entry : items->entries) {
    const Result<std::optional<Address>> own = find_attribute(layout, reading.memory, entry.value, "_ident");
    if (!own || !*own) continue;
    const std::optional<std::uint64_t> ident = read_ident(layout, reading.memory, **own);
    if (!ident) continue;
    Result<ThreadName> name = read_thread(layout, reading.memory, entry.value);
    if (name) names.try_emplace(*ident, *std::move(name));
  }
}

Result<ThreadNames> read_names(Reading& reading, const InterpreterCopy& interpreter, std::size_t& unread) {
  const RuntimeLayout& layout = reading.layout();
  attach::Memory& memory = reading.memory;
  ThreadNames names;
  Result<Address> threading = find_threading(reading, interpreter);
  if (!threading) return std::move(threading).error();
  if (threading->is_null()) return names;
  Result<DictItems> items = read_threads(reading, *threading, "_active");
  if (!items) return std::move(items).error();
  if (reading.held) prefetch_threads(layout, memory, items->entries);
  for (const DictEntry& entry : items->entries) {
    const std::optional<std::uint64_t> ident = read_ident(layout, memory, entry.key);
    if (!ident) {
      ++unread;
      continue;
    }
    Result<ThreadName> name = read_thread(layout, memory, entry.value);
    if (name) {
      names.insert_or_assign(*ident, *std::move(name));
    } else {
      ++unread;
    }
  }
  add_started(reading, *threading, names);
  return names;
}

}  // namespace

std::vector<std::byte> heads_of_thread_tables(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  std::vector<std::byte> heads;
  const auto append = [&](Address from, std::uint64_t size) {
    const std::size_t before = heads.size();
    heads.resize(before + size);
    heads.resize(before + reading.memory.read_up_to(from, std::span(heads).subspan(before)));
  };
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    const Result<Address> threading = find_threading(reading, interpreter);
    if (!threading || threading->is_null()) continue;
    for (const std::string_view name : {"_active", "_limbo"}) {
      const Result<Address> table = find_table(reading, *threading, name);
      if (!table) continue;
      // Behind its reference count, which changes with each look at it.
      append(*table + static_cast<std::uint64_t>(layout.dict.ma_used.offset), dict_head_bytes);
      const Result<Address> keys =
          reading.memory.read_address(*table + static_cast<std::uint64_t>(layout.dict.ma_keys.offset));
      if (keys) append(*keys, keys_head_bytes);
    }
  }
  return heads;
}

void fetch_thread_names(Reading& reading, const RuntimeCopy& copy) {
  std::size_t unread = 0;
  for (const InterpreterCopy& interpreter : copy.interpreters)
    static_cast<void>(read_names(reading, interpreter, unread));
}

void read_thread_names(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    PyInterpreter& interpreter = state.interpreters[i];
    std::size_t unread = 0;
    const Result<ThreadNames> names = read_names(reading, copy.interpreters[i], unread);
    if (!names) {
      state.gaps.push_back("no thread names of interpreter " + std::to_string(interpreter.id) + ": " +
                           names.error().message);
      continue;
    }
    if (unread > 0)
      state.gaps.push_back(std::to_string(unread) + " entries of threading._active could not be read");
    for (PyThread& thread : interpreter.threads) {
      const auto found = names->find(thread.ident);
      if (found == names->end()) continue;
      thread.name = found->second.name;
      thread.daemon = found->second.daemon;
    }
  }
}

}  // namespace pythreads::pyframes
