// CPython's basic objects from outside: str, bytes, int, float, tuple, list, dict, types, attributes.
//
// Everything that an object says of itself (its type, length, size) is a claim of an untrusted target: each
// reader has a bound, allocates nothing by an unchecked size, and says when it cut. Text is valid UTF-8: a
// lone surrogate becomes the six characters \uDCNN, other bytes the four \xNN.
//
// No reader checks the type of the object that it is given unless it says so; ask `type_flags` first where
// the object may be anything. `memory` is the caller's choice: what can change while the target runs is read
// from `Target::memory`, what can't (names, types) from `Target::lasting`.
//
// Sources: Objects/dictobject.c, Include/internal/pycore_dict.h, Include/cpython/unicodeobject.h,
// Include/cpython/longintrepr.h, Objects/typeobject.c at v3.8.0 to v3.15.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/result.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

// Bits of PyTypeObject.tp_flags (Include/object.h), the same in 3.8 to 3.15.
namespace type_flag {
inline constexpr std::uint64_t inline_values = 1ULL << 2;  // 3.13 on
inline constexpr std::uint64_t managed_dict = 1ULL << 4;   // 3.11 on
inline constexpr std::uint64_t heap_type = 1ULL << 9;
inline constexpr std::uint64_t long_subclass = 1ULL << 24;
inline constexpr std::uint64_t list_subclass = 1ULL << 25;
inline constexpr std::uint64_t tuple_subclass = 1ULL << 26;
inline constexpr std::uint64_t bytes_subclass = 1ULL << 27;
inline constexpr std::uint64_t unicode_subclass = 1ULL << 28;
inline constexpr std::uint64_t dict_subclass = 1ULL << 29;
inline constexpr std::uint64_t base_exc_subclass = 1ULL << 30;
inline constexpr std::uint64_t type_subclass = 1ULL << 31;
}  // namespace type_flag

inline constexpr std::size_t max_name_length = 1024;  // of a function, a class, an attribute
inline constexpr std::size_t max_path_length = 4096;  // of a file

// The text as contract and JSON want it: bytes that are no UTF-8 become \xNN.
std::string valid_utf8(std::string_view bytes);
void append_code_point(std::string& text, std::uint32_t code_point);

// ---- types

attach::Result<attach::Address> type_of(const RuntimeLayout& layout, attach::Memory& memory,
                                        attach::Address object);
attach::Result<std::uint64_t> type_flags(const RuntimeLayout& layout, attach::Memory& memory,
                                         attach::Address type);
attach::Result<std::int64_t> type_basicsize(const RuntimeLayout& layout, attach::Memory& memory,
                                            attach::Address type);
// tp_name: "_thread.lock" with its module for a type written in C, "Thread" for a class of Python.
attach::Result<std::string> type_name(const RuntimeLayout& layout, attach::Memory& memory,
                                      attach::Address type);
// "threading.Thread", "_thread.lock"; without the module for builtins: "ValueError".
attach::Result<std::string> qualified_type_name(const RuntimeLayout& layout, attach::Memory& memory,
                                                attach::Address type);
// Whether `type` or a base of it (along tp_base, bounded) has the tp_name `name`.
attach::Result<bool> type_or_base_is(const RuntimeLayout& layout, attach::Memory& memory,
                                     attach::Address type, std::string_view name);
// Where an object of the type of this name keeps its self, if it is a bound method of Python or of C; else
// absent.
PointerField bound_self_field(const RuntimeLayout& layout, std::string_view type_name);
// The flags of the object's type: `flags & type_flag::dict_subclass`.
attach::Result<std::uint64_t> object_flags(const RuntimeLayout& layout, attach::Memory& memory,
                                           attach::Address object);

// ---- values

struct StrValue {
  std::string text;          // valid UTF-8, at most the first `limit` code points
  std::uint64_t length = 0;  // of the whole str, in code points
  bool cut = false;
};
attach::Result<StrValue> read_str(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                                  std::size_t limit);
// Whether the str is exactly `ascii`; touches the data only when the length fits.
attach::Result<bool> str_equals(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                                std::string_view ascii);

struct BytesValue {
  std::vector<std::uint8_t> bytes;  // at most the first `limit`
  std::uint64_t length = 0;
  bool cut = false;
};
attach::Result<BytesValue> read_bytes(const RuntimeLayout& layout, attach::Memory& memory,
                                      attach::Address object, std::size_t limit);

// An int of any size: sign and 30-bit digits, lowest first (at most `limit` of them).
struct IntValue {
  bool negative = false;
  std::vector<std::uint32_t> digits;
  std::uint64_t length = 0;  // number of digits of the whole
  bool cut = false;
  std::optional<std::int64_t> as_int64() const;
  std::optional<std::uint64_t> as_uint64() const;
};
attach::Result<IntValue> read_int(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                                  std::size_t limit = 8);
attach::Result<double> read_float(const RuntimeLayout& layout, attach::Memory& memory,
                                  attach::Address object);

// ---- containers: references only, at most the first `limit`

struct Items {
  std::vector<attach::Address> items;
  std::uint64_t length = 0;  // what the object says
  bool cut = false;
};
attach::Result<Items> read_tuple(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                                 std::size_t limit);
attach::Result<Items> read_list(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                                std::size_t limit);
attach::Result<Items> read_set(const RuntimeLayout& layout, attach::Memory& memory, attach::Address object,
                               std::size_t limit);

struct DictEntry {
  attach::Address key, value;
  std::uint64_t index = 0;  // in the dict's table
};
struct DictItems {
  std::vector<DictEntry> entries;
  std::uint64_t length = 0;  // ma_used
  bool cut = false;
};
attach::Result<DictItems> read_dict(const RuntimeLayout& layout, attach::Memory& memory, attach::Address dict,
                                    std::size_t limit);
// A search goes by the keys' text, as str hashes are secret: a walk over all entries up to the one that is
// sought. So where it was found is kept: a later search of the same dict looks there first, and takes an
// entry whose key is the same object for the one that was sought.
struct DictPlace {
  std::uint64_t index = 0;  // of the entry
  attach::Address key;
};
using DictPlaces = std::map<std::pair<attach::Address, std::string>, DictPlace>;  // by dict and key

struct KeySearch {
  attach::Memory& keys;  // where the text of keys is read from: it lives as long as they are keys
  DictPlaces* places = nullptr;
};

// The value under a str key; none: read whole, and there is no such key. Reads keys in waves.
attach::Result<std::optional<attach::Address>> find_in_dict(const RuntimeLayout& layout,
                                                            attach::Memory& memory, attach::Address dict,
                                                            std::string_view key);
attach::Result<std::optional<attach::Address>> find_in_dict(const RuntimeLayout& layout,
                                                            attach::Memory& memory, attach::Address dict,
                                                            std::string_view key, const KeySearch& search);

// ---- attributes

// The instance's own attributes (its __dict__ or its inline values), not its class's, no __slots__, no code
// run.
attach::Result<DictItems> read_attributes(const RuntimeLayout& layout, attach::Memory& memory,
                                          attach::Address object, std::size_t limit);
attach::Result<std::optional<attach::Address>> find_attribute(const RuntimeLayout& layout,
                                                              attach::Memory& memory, attach::Address object,
                                                              std::string_view name);
// A module's variable: `threading._active` given the module object.
attach::Result<std::optional<attach::Address>> find_in_module(const RuntimeLayout& layout,
                                                              attach::Memory& memory, attach::Address module,
                                                              std::string_view name);
attach::Result<std::optional<attach::Address>> find_in_module(const RuntimeLayout& layout,
                                                              attach::Memory& memory, attach::Address module,
                                                              std::string_view name, const KeySearch& search);

}  // namespace pythreads::pyframes
