#include "pyframes/sys_module.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "pyframes/debug_offsets.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Result;

Result<Address> read_pointer(Memory& memory, Address at, PointerField field) {
  if (!field.exists()) return Error{ErrorCode::internal, "the layout doesn't tell where sys is", ""};
  return memory.read_address(at + static_cast<std::uint64_t>(field.offset));
}

Error corrupt(std::string_view message) {
  return Error{ErrorCode::corrupt, std::string(message), ""};
}

// Null if there is none, or if it can't be read: what these are for is not needed.
Address find_optional(const RuntimeLayout& layout, Memory& memory, Address dict, std::string_view key,
                      std::uint64_t flag) {
  Result<std::optional<Address>> found = find_in_dict(layout, memory, dict, key);
  if (!found || !*found) return Address();
  Result<std::uint64_t> flags = object_flags(layout, memory, **found);
  if (!flags || (*flags & flag) == 0) return Address();
  return **found;
}

class Comparison {
 public:
  Comparison(const RuntimeLayout& layout, Memory& memory) : layout_(layout), memory_(memory) {}

  // `type` must be the type `name` and say `expected`; what can't be read can't be compared.
  void compare(Address type, std::string_view name, std::int64_t expected) {
    Result<std::string> told_name = type_name(layout_, memory_, type);
    Result<std::int64_t> told = type_basicsize(layout_, memory_, type);
    if (!told_name || !told || expected <= 0 || !difference_.empty()) return;
    if (*told_name != name) {
      difference_ = "the type of a " + std::string(name) + " is called " + *told_name;
    } else if (*told != expected) {
      difference_ = std::string(name) + " has " + std::to_string(*told) + " bytes, not " +
                    std::to_string(expected) + " as in " + layout_.source;
    }
  }

  void compare_type_of(Address object, std::string_view name, std::int64_t expected) {
    if (object.is_null()) return;
    Result<Address> type = type_of(layout_, memory_, object);
    if (type) compare(*type, name, expected);
  }

  std::string difference() && { return std::move(difference_); }

 private:
  const RuntimeLayout& layout_;
  Memory& memory_;
  std::string difference_;
};

}  // namespace

Result<SysModule> read_sys_module(const RuntimeLayout& layout, Memory& memory, Address runtime) {
  Result<Address> interpreter = read_pointer(memory, runtime, layout.runtime.interpreters_head);
  if (!interpreter) return std::move(interpreter).error();
  if (interpreter->is_null()) return corrupt("it has no interpreter (yet, or no more)");
  // The newest stands first; the main one is the last.
  constexpr int most_interpreters = 10'000;
  for (int i = 0; i < most_interpreters; ++i) {
    Result<Address> next = read_pointer(memory, *interpreter, layout.interpreter.next);
    if (!next) return std::move(next).error();
    if (next->is_null()) break;
    interpreter = *next;
  }
  Result<Address> dict = read_pointer(memory, *interpreter, layout.interpreter.sysdict);
  if (!dict) return std::move(dict).error();
  if (dict->is_null()) return corrupt("its interpreter has no sys (yet, or no more)");
  Result<std::uint64_t> flags = object_flags(layout, memory, *dict);
  if (!flags) return std::move(flags).error();
  if ((*flags & type_flag::dict_subclass) == 0) return corrupt("its sys is no dict");

  SysModule sys;
  sys.dict = *dict;
  sys.hexversion = find_optional(layout, memory, *dict, "hexversion", type_flag::long_subclass);
  if (sys.hexversion.is_null()) return corrupt("its sys has no hexversion");
  Result<IntValue> hexversion = read_int(layout, memory, sys.hexversion);
  if (!hexversion) return std::move(hexversion).error();
  std::optional<std::uint64_t> hex = hexversion->as_uint64();
  if (!hex || *hex >> 24 != 3) return corrupt("its sys.hexversion is none of CPython 3");
  sys.version = version_of_hex(static_cast<std::uint32_t>(*hex));

  sys.abiflags = find_optional(layout, memory, *dict, "abiflags", type_flag::unicode_subclass);
  if (!sys.abiflags.is_null()) {
    Result<StrValue> letters = read_str(layout, memory, sys.abiflags, 16);
    sys.debug = letters && letters->text.find('d') != std::string::npos;
  }
  sys.builtin_module_names =
      find_optional(layout, memory, *dict, "builtin_module_names", type_flag::tuple_subclass);
  return sys;
}

std::string check_layout(const RuntimeLayout& layout, Memory& memory, const SysModule& sys) {
  // Objects/longobject.c, unicodeobject.c, tupleobject.c, typeobject.c: the tp_basicsize of each.
  Comparison types(layout, memory);
  types.compare_type_of(sys.hexversion, "int", layout.integer.ob_digit.offset);
  types.compare_type_of(sys.abiflags, "str", layout.legacy_unicode.data.offset + 8);
  types.compare_type_of(sys.builtin_module_names, "tuple", layout.tuple.ob_item.offset);
  Result<Address> dict_type = type_of(layout, memory, sys.dict);
  if (!dict_type) return std::move(types).difference();
  types.compare_type_of(*dict_type, "type", layout.heap_type.size);
  if (layout.type.tp_base.exists()) {
    Result<Address> base =
        memory.read_address(*dict_type + static_cast<std::uint64_t>(layout.type.tp_base.offset));
    if (base && !base->is_null()) types.compare(*base, "object", layout.object.size);
  }
  return std::move(types).difference();
}

}  // namespace pythreads::pyframes
