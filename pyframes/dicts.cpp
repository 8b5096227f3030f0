// dict and what is kept in its forms: the combined table, the split table of instances, inline values.
#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "pyframes/objects.h"
#include "pyframes/struct_copy.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Range;
using attach::Result;

constexpr std::uint64_t most_entries = 1 << 20;  // looked at in one dict
constexpr std::uint64_t batch = 64;

Error corrupt(std::string message) {
  return Error{ErrorCode::corrupt, std::move(message), ""};
}

template <typename T>
Result<T> read_field(Memory& memory, Address at, Field<T> field, std::string_view name) {
  if (!field.exists())
    return Error{ErrorCode::internal, "the layout doesn't tell where " + std::string(name) + " is", ""};
  return memory.read_value<T>(at + static_cast<std::uint64_t>(field.offset));
}

// The entries of a PyDictKeysObject, and where their values are if not beside the keys.
struct EntryTable {
  Address entries;
  std::uint64_t count = 0;
  std::int32_t entry_size = 0;
  PointerField key, value;
  Address split_values;  // null: a combined table
};

// Where the entries begin: behind indices as wide as the number of slots needs (DK_IXSIZE to 3.10).
Result<std::uint64_t> index_bytes(const RuntimeLayout& layout, const StructCopy& keys) {
  if (std::optional<std::uint8_t> log2 = keys.get(layout.dict_keys.dk_log2_index_bytes)) {
    if (*log2 > 40) return corrupt("a dict with an impossible index");
    return std::uint64_t{1} << *log2;
  }
  std::optional<std::int64_t> size = keys.get(layout.dict_keys.dk_size);
  if (!size || *size <= 0 || *size > std::int64_t{1} << 36) return corrupt("a dict with an impossible size");
  std::uint64_t slots = static_cast<std::uint64_t>(*size);
  std::uint64_t width = slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffff'ffff ? 4 : 8;
  return slots * width;
}

Result<EntryTable> locate_entries(const RuntimeLayout& layout, Memory& memory, Address keys_at,
                                  Address split_values) {
  if (!layout.dict_keys.dk_indices.exists()) return corrupt("no layout of dict keys");
  Result<StructCopy> keys = StructCopy::read(memory, keys_at, layout.dict_keys.dk_indices.offset);
  if (!keys) return std::move(keys).error();
  Result<std::uint64_t> skipped = index_bytes(layout, *keys);
  if (!skipped) return std::move(skipped).error();
  std::optional<std::int64_t> count = keys->get(layout.dict_keys.dk_nentries);
  if (!count || *count < 0) return corrupt("a dict with a negative number of entries");

  EntryTable table;
  table.entries = keys_at + static_cast<std::uint64_t>(layout.dict_keys.dk_indices.offset) + *skipped;
  table.count = static_cast<std::uint64_t>(*count);
  // DICT_KEYS_GENERAL is 0; the others have str keys only and keep no hash beside them.
  bool only_str = keys->get(layout.dict_keys.dk_kind).value_or(0) != 0;
  table.entry_size = only_str ? layout.dict_unicode_entry.size : layout.dict_entry.size;
  table.key = only_str ? layout.dict_unicode_entry.me_key : layout.dict_entry.me_key;
  table.value = only_str ? layout.dict_unicode_entry.me_value : layout.dict_entry.me_value;
  auto inside = [&](PointerField field) { return field.exists() && field.offset + 8 <= table.entry_size; };
  if (table.entry_size > 64 || !inside(table.key) || !inside(table.value))
    return corrupt("no layout of dict entries");
  if (!split_values.is_null()) {
    std::int32_t first = layout.dict_values.values.exists() ? layout.dict_values.values.offset : 0;
    table.split_values = split_values + static_cast<std::uint64_t>(first);
  }
  return table;
}

Result<EntryTable> locate_dict(const RuntimeLayout& layout, Memory& memory, Address dict) {
  Result<std::uint64_t> keys = read_field(memory, dict, layout.dict.ma_keys, "ma_keys");
  if (!keys) return std::move(keys).error();
  Result<std::uint64_t> values = read_field(memory, dict, layout.dict.ma_values, "ma_values");
  if (!values) return std::move(values).error();
  return locate_entries(layout, memory, Address(*keys), Address(*values));
}

// Entries [first, first + count) that hold something.
Result<std::vector<DictEntry>> read_entries(Memory& memory, const EntryTable& table, std::uint64_t first,
                                            std::uint64_t count) {
  std::uint64_t entry_size = static_cast<std::uint64_t>(table.entry_size);
  std::vector<std::byte> bytes(static_cast<std::size_t>(count * entry_size));
  Result<void> done = memory.read(table.entries + first * entry_size, bytes);
  if (!done) return std::move(done).error();
  std::vector<std::uint64_t> split;
  if (!table.split_values.is_null()) {
    split.resize(static_cast<std::size_t>(count));
    done = memory.read(table.split_values + first * 8, std::as_writable_bytes(std::span(split)));
    if (!done) return std::move(done).error();
  }
  auto word = [&](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return Address(value);
  };
  std::vector<DictEntry> found;
  found.reserve(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t entry = i * static_cast<std::size_t>(entry_size);
    Address key = word(entry + static_cast<std::size_t>(table.key.offset));
    Address value =
        split.empty() ? word(entry + static_cast<std::size_t>(table.value.offset)) : Address(split[i]);
    if (!key.is_null() && !value.is_null()) found.push_back({key, value, first + i});
  }
  return found;
}

Result<DictItems> collect(Memory& memory, const EntryTable& table, std::size_t limit) {
  DictItems items;
  std::uint64_t end = std::min(table.count, most_entries);
  for (std::uint64_t at = 0; at < end; at += batch) {
    Result<std::vector<DictEntry>> entries = read_entries(memory, table, at, std::min(batch, end - at));
    if (!entries) return std::move(entries).error();
    for (const DictEntry& entry : *entries) {
      if (items.entries.size() >= limit) {
        items.cut = true;
        return items;
      }
      items.entries.push_back(entry);
    }
  }
  items.cut = table.count > end;
  return items;
}

struct FoundEntry {
  Address value;
  DictPlace place;
};

Result<std::optional<FoundEntry>> search(const RuntimeLayout& layout, Memory& memory, const EntryTable& table,
                                         std::string_view key, Memory& key_memory) {
  std::uint64_t end = std::min(table.count, most_entries);
  Address str_type;  // the last type that was seen to be one of str
  for (std::uint64_t at = 0; at < end; at += batch) {
    Result<std::vector<DictEntry>> entries = read_entries(memory, table, at, std::min(batch, end - at));
    if (!entries) return std::move(entries).error();
    std::vector<Range> keys;
    keys.reserve(entries->size());
    for (const DictEntry& entry : *entries)
      keys.push_back({entry.key, static_cast<std::uint64_t>(layout.compact_unicode.size) + key.size()});
    key_memory.prefetch(keys);
    for (const DictEntry& entry : *entries) {
      Result<Address> type = type_of(layout, key_memory, entry.key);
      if (!type) return std::move(type).error();
      if (*type != str_type) {
        Result<std::uint64_t> flags = type_flags(layout, key_memory, *type);
        if (!flags) return std::move(flags).error();
        if ((*flags & type_flag::unicode_subclass) == 0) continue;
        str_type = *type;
      }
      Result<bool> same = str_equals(layout, key_memory, entry.key, key);
      if (!same) return std::move(same).error();
      if (*same) return std::optional(FoundEntry{entry.value, {entry.index, entry.key}});
    }
  }
  if (table.count > end) return corrupt("a dict that is too large to be searched");
  return std::optional<FoundEntry>();
}

Result<std::optional<Address>> find(const RuntimeLayout& layout, Memory& memory, const EntryTable& table,
                                    std::string_view key, Memory& key_memory) {
  Result<std::optional<FoundEntry>> found = search(layout, memory, table, key, key_memory);
  if (!found) return std::move(found).error();
  return *found ? std::optional((*found)->value) : std::nullopt;
}

// The value at a place where the key was before; none: it is not there.
std::optional<Address> look_at(Memory& memory, const EntryTable& table, const DictPlace& place) {
  if (place.index >= table.count) return std::nullopt;
  const Result<std::vector<DictEntry>> entry = read_entries(memory, table, place.index, 1);
  if (!entry || entry->empty() || entry->front().key != place.key) return std::nullopt;
  return entry->front().value;
}

// Where an instance keeps its attributes; none: it has no attributes of its own.
Result<std::optional<EntryTable>> locate_attributes(const RuntimeLayout& layout, Memory& memory,
                                                    Address object) {
  using Found = std::optional<EntryTable>;
  Result<Address> type = type_of(layout, memory, object);
  if (!type) return std::move(type).error();
  Result<std::uint64_t> flags = type_flags(layout, memory, *type);
  if (!flags) return std::move(flags).error();

  Address dict, values;
  bool managed =
      layout.attribute_style != AttributeStyle::dict_offset && (*flags & type_flag::managed_dict) != 0;
  if (!managed) {
    Result<std::int64_t> offset = read_field(memory, *type, layout.type.tp_dictoffset, "tp_dictoffset");
    if (!offset) return std::move(offset).error();
    if (*offset == 0) return Found();
    std::int64_t distance = *offset;
    if (distance < 0) {
      // Counted from the end of a variable-sized object (_PyObject_GetDictPtr).
      Result<std::int64_t> basic = type_basicsize(layout, memory, *type);
      if (!basic) return std::move(basic).error();
      Result<std::int64_t> item = read_field(memory, *type, layout.type.tp_itemsize, "tp_itemsize");
      if (!item) return std::move(item).error();
      Result<std::int64_t> size = read_field(memory, object, layout.tuple.ob_size, "ob_size");
      if (!size) return std::move(size).error();
      constexpr std::int64_t bound = 1 << 28;
      if (*basic < 0 || *basic > bound || *item < 0 || *item > 4096 || *size < -bound || *size > bound)
        return corrupt("an object of an impossible size");
      std::int64_t whole = *basic + (*size < 0 ? -*size : *size) * *item;
      distance += (whole + 7) / 8 * 8;
    }
    if (distance <= 0) return corrupt("an impossible tp_dictoffset");
    Result<Address> at = memory.read_address(object + static_cast<std::uint64_t>(distance));
    if (!at) return std::move(at).error();
    dict = *at;
  } else if (layout.attribute_style == AttributeStyle::tagged_before) {
    // An odd word is the address of the values less 1 (Include/internal/pycore_object.h at v3.12.0).
    Result<Address> word = memory.read_address(object - 24);
    if (!word) return std::move(word).error();
    if ((word->value & 1) != 0) {
      values = *word + 1;
    } else {
      dict = *word;
    }
  } else {
    std::uint64_t before = layout.free_threaded ? 8 : 24;
    Result<Address> at = memory.read_address(object - before);
    if (!at) return std::move(at).error();
    dict = *at;
    if (dict.is_null() && layout.attribute_style == AttributeStyle::values_before) {
      Result<Address> array = memory.read_address(object - 32);
      if (!array) return std::move(array).error();
      values = *array;
    } else if (dict.is_null() && (*flags & type_flag::inline_values) != 0) {
      Result<std::int64_t> basic = type_basicsize(layout, memory, *type);
      if (!basic) return std::move(basic).error();
      if (*basic <= 0 || *basic > 1 << 20) return corrupt("an impossible tp_basicsize");
      values = object + static_cast<std::uint64_t>(*basic);
    }
  }
  if (!dict.is_null()) {
    Result<EntryTable> table = locate_dict(layout, memory, dict);
    if (!table) return std::move(table).error();
    return Found(*table);
  }
  if (values.is_null()) return Found();
  Result<std::uint64_t> keys =
      read_field(memory, *type, layout.heap_type.ht_cached_keys, "PyHeapTypeObject.ht_cached_keys");
  if (!keys) return std::move(keys).error();
  if (*keys == 0) return Found();
  Result<EntryTable> table = locate_entries(layout, memory, Address(*keys), values);
  if (!table) return std::move(table).error();
  return Found(*table);
}

}  // namespace

Result<DictItems> read_dict(const RuntimeLayout& layout, Memory& memory, Address dict, std::size_t limit) {
  Result<EntryTable> table = locate_dict(layout, memory, dict);
  if (!table) return std::move(table).error();
  Result<std::int64_t> used = read_field(memory, dict, layout.dict.ma_used, "ma_used");
  if (!used) return std::move(used).error();
  if (*used < 0) return corrupt("a dict of negative length");
  Result<DictItems> items = collect(memory, *table, limit);
  if (items) items->length = static_cast<std::uint64_t>(*used);
  return items;
}

Result<std::optional<Address>> find_in_dict(const RuntimeLayout& layout, Memory& memory, Address dict,
                                            std::string_view key) {
  return find_in_dict(layout, memory, dict, key, {memory});
}

Result<std::optional<Address>> find_in_dict(const RuntimeLayout& layout, Memory& memory, Address dict,
                                            std::string_view key, const KeySearch& by) {
  Result<EntryTable> table = locate_dict(layout, memory, dict);
  if (!table) return std::move(table).error();
  if (by.places == nullptr) return find(layout, memory, *table, key, by.keys);
  const std::pair where(dict, std::string(key));
  if (const auto known = by.places->find(where); known != by.places->end()) {
    if (std::optional<Address> value = look_at(memory, *table, known->second)) return value;
  }
  Result<std::optional<FoundEntry>> found = search(layout, memory, *table, key, by.keys);
  if (!found) return std::move(found).error();
  if (!*found) return std::optional<Address>();
  by.places->insert_or_assign(where, (*found)->place);
  return std::optional((*found)->value);
}

Result<DictItems> read_attributes(const RuntimeLayout& layout, Memory& memory, Address object,
                                  std::size_t limit) {
  Result<std::optional<EntryTable>> table = locate_attributes(layout, memory, object);
  if (!table) return std::move(table).error();
  if (!*table) return DictItems{};
  Result<DictItems> items = collect(memory, **table, limit);
  if (items) items->length = items->cut ? (*table)->count : items->entries.size();
  return items;
}

Result<std::optional<Address>> find_attribute(const RuntimeLayout& layout, Memory& memory, Address object,
                                              std::string_view name) {
  Result<std::optional<EntryTable>> table = locate_attributes(layout, memory, object);
  if (!table) return std::move(table).error();
  if (!*table) return std::optional<Address>();
  return find(layout, memory, **table, name, memory);
}

Result<std::optional<Address>> find_in_module(const RuntimeLayout& layout, Memory& memory, Address module,
                                              std::string_view name) {
  return find_in_module(layout, memory, module, name, {memory});
}

Result<std::optional<Address>> find_in_module(const RuntimeLayout& layout, Memory& memory, Address module,
                                              std::string_view name, const KeySearch& by) {
  Result<std::uint64_t> dict = read_field(memory, module, layout.module.md_dict, "md_dict");
  if (!dict) return std::move(dict).error();
  return find_in_dict(layout, memory, Address(*dict), name, by);
}

}  // namespace pythreads::pyframes
