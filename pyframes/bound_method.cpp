#include "pyframes/bound_method.h"

#include <algorithm>
#include <cstdint>

#include "pyframes/code.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

std::uint64_t at(PointerField field) {
  return static_cast<std::uint64_t>(std::max(field.offset, 0));
}

// Of C: by its definition.
std::string name_of_builtin(Reading& reading, Address method) {
  const RuntimeLayout& layout = reading.layout();
  if (!layout.builtin_function.m_ml.exists() || !layout.method_def.ml_name.exists()) return {};
  const Result<Address> definition = reading.memory.read_address(method + at(layout.builtin_function.m_ml));
  if (!definition || definition->is_null()) return {};
  const Result<Address> text = reading.lasting.read_address(*definition + at(layout.method_def.ml_name));
  if (!text) return {};
  constexpr std::size_t longest = 64;
  return reading.lasting.read_c_string(*text, longest).value_or(std::string());
}

// Of Python: by its function's code.
std::string name_of_function(Reading& reading, Address method) {
  const RuntimeLayout& layout = reading.layout();
  if (!layout.method.im_func.exists() || !layout.function.func_code.exists()) return {};
  const Result<Address> function = reading.memory.read_address(method + at(layout.method.im_func));
  if (!function || function->is_null()) return {};
  const Result<Address> code = reading.memory.read_address(*function + at(layout.function.func_code));
  return code ? code_name(reading, *code).str() : std::string();
}

}  // namespace

std::optional<BoundMethod> read_bound_method(Reading& reading, Address object) {
  const RuntimeLayout& layout = reading.layout();
  const Result<Address> type = type_of(layout, reading.memory, object);
  if (!type || type->is_null()) return std::nullopt;
  const Result<std::string> name = type_name(layout, reading.lasting, *type);
  if (!name) return std::nullopt;
  const PointerField field = bound_self_field(layout, *name);
  if (!field.exists()) return std::nullopt;
  const Result<Address> self = reading.memory.read_address(object + at(field));
  if (!self || self->is_null()) return std::nullopt;
  return BoundMethod{
      *self, *name == "method" ? name_of_function(reading, object) : name_of_builtin(reading, object)};
}

}  // namespace pythreads::pyframes
