// Types: what an object is, by its ob_type.
#include <string_view>

#include "pyframes/objects.h"

namespace pythreads::pyframes {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Result;

namespace {

// object ← a ← b …: no class hierarchy of a program is deeper than this.
constexpr int most_bases = 128;

template <typename T>
Result<T> read_field(Memory& memory, Address at, Field<T> field, std::string_view name) {
  if (!field.exists())
    return Error{ErrorCode::internal, "the layout doesn't tell where " + std::string(name) + " is", ""};
  return memory.read_value<T>(at + static_cast<std::uint64_t>(field.offset));
}

}  // namespace

Result<Address> type_of(const RuntimeLayout& layout, Memory& memory, Address object) {
  Result<std::uint64_t> type = read_field(memory, object, layout.object.ob_type, "ob_type");
  if (!type) return std::move(type).error();
  return Address(*type);
}

Result<std::uint64_t> type_flags(const RuntimeLayout& layout, Memory& memory, Address type) {
  return read_field(memory, type, layout.type.tp_flags, "tp_flags");
}

Result<std::int64_t> type_basicsize(const RuntimeLayout& layout, Memory& memory, Address type) {
  return read_field(memory, type, layout.type.tp_basicsize, "tp_basicsize");
}

Result<std::uint64_t> object_flags(const RuntimeLayout& layout, Memory& memory, Address object) {
  Result<Address> type = type_of(layout, memory, object);
  if (!type) return std::move(type).error();
  return type_flags(layout, memory, *type);
}

Result<std::string> type_name(const RuntimeLayout& layout, Memory& memory, Address type) {
  Result<std::uint64_t> name = read_field(memory, type, layout.type.tp_name, "tp_name");
  if (!name) return std::move(name).error();
  Result<std::string> text = memory.read_c_string(Address(*name), max_name_length);
  if (!text) return std::move(text).error();
  return valid_utf8(*text);
}

Result<std::string> qualified_type_name(const RuntimeLayout& layout, Memory& memory, Address type) {
  constexpr std::string_view builtins = "builtins";
  Result<std::uint64_t> flags = type_flags(layout, memory, type);
  if (!flags) return std::move(flags).error();
  if ((*flags & type_flag::heap_type) == 0) return type_name(layout, memory, type);

  Result<std::uint64_t> qualname =
      read_field(memory, type, layout.heap_type.ht_qualname, "PyHeapTypeObject.ht_qualname");
  if (!qualname) return std::move(qualname).error();
  Result<StrValue> name = read_str(layout, memory, Address(*qualname), max_name_length);
  if (!name) return std::move(name).error();
  // A class without a readable __module__ is still told by its own name.
  Result<std::uint64_t> dict = read_field(memory, type, layout.type.tp_dict, "tp_dict");
  if (!dict) return std::move(name->text);
  Result<std::optional<Address>> module = find_in_dict(layout, memory, Address(*dict), "__module__");
  if (!module || !*module) return std::move(name->text);
  Result<std::uint64_t> module_flags = object_flags(layout, memory, **module);
  if (!module_flags || (*module_flags & type_flag::unicode_subclass) == 0) return std::move(name->text);
  Result<StrValue> module_name = read_str(layout, memory, **module, max_name_length);
  if (!module_name || module_name->text == builtins) return std::move(name->text);
  return module_name->text + "." + name->text;
}

Result<bool> type_or_base_is(const RuntimeLayout& layout, Memory& memory, Address type,
                             std::string_view name) {
  for (int depth = 0; depth < most_bases && !type.is_null(); ++depth) {
    Result<std::string> found = type_name(layout, memory, type);
    if (!found) return std::move(found).error();
    if (*found == name) return true;
    Result<std::uint64_t> base = read_field(memory, type, layout.type.tp_base, "tp_base");
    if (!base) return std::move(base).error();
    type = Address(*base);
  }
  return false;
}

PointerField bound_self_field(const RuntimeLayout& layout, std::string_view type_name) {
  if (type_name == "method") return layout.method.im_self;
  if (type_name == "builtin_function_or_method") return layout.builtin_function.m_self;
  return {};
}

}  // namespace pythreads::pyframes
