#include "pyframes/runtime_places.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "pyframes/struct_copy.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Memory;
using attach::Symbol;

enum Name : std::size_t {
  interp_head,
  interp_head_function,
  finalizing,
  main_thread,
  collecting,
  gil_locked,
  gil_last_holder,
  gil_cond,
  gil_mutex,
  switch_cond,
  switch_mutex,
};

// The variable that a function without arguments loads and returns: on x86-64 `mov variable(%rip), %rax`
// stands at its beginning, perhaps behind `endbr64` and the set-up of a frame.
std::optional<Address> variable_returned_by(Memory& memory, const Symbol& function) {
  constexpr std::array<std::uint8_t, 3> load{0x48, 0x8b, 0x05};
  constexpr std::size_t farthest = 9, load_size = 7;
  std::array<std::uint8_t, farthest + load_size> bytes{};
  const std::size_t size =
      function.size == 0 ? bytes.size() : std::min<std::size_t>(function.size, bytes.size());
  const std::size_t got =
      memory.read_up_to(function.address, std::as_writable_bytes(std::span(bytes).first(size)));
  for (std::size_t at = 0; at + load_size <= got; ++at) {
    if (std::memcmp(bytes.data() + at, load.data(), load.size()) != 0) continue;
    std::int32_t distance = 0;
    std::memcpy(&distance, bytes.data() + at + load.size(), sizeof distance);
    return Address(function.address.value + at + load_size +
                   static_cast<std::uint64_t>(std::int64_t{distance}));
  }
  return std::nullopt;
}

template <typename T>
Field<T> field_at(Address begin, std::optional<Address> variable) {
  return variable ? Field<T>{static_cast<std::int32_t>(*variable - begin)} : Field<T>{};
}

}  // namespace

const std::vector<std::string_view>& runtime_variable_names() {
  static const std::vector<std::string_view> names{
      "interp_head", "PyInterpreterState_Head", "_Py_Finalizing", "main_thread", "collecting",
      "gil_locked",  "gil_last_holder",         "gil_cond",       "gil_mutex",   "switch_cond",
      "switch_mutex"};
  return names;
}

std::optional<RuntimePlaces> find_runtime_places(Memory& memory,
                                                 const std::vector<std::optional<Symbol>>& found) {
  if (found.size() != runtime_variable_names().size()) return std::nullopt;
  std::optional<Address> interpreters;
  if (found[interp_head]) interpreters = found[interp_head]->address;
  if (!interpreters && found[interp_head_function])
    interpreters = variable_returned_by(memory, *found[interp_head_function]);
  if (!interpreters) return std::nullopt;

  // CPython's files lie side by side; what is far away is another's variable of the same name.
  constexpr std::uint64_t farthest = StructCopy::max_size / 2;
  const auto address_of = [&](Name name) -> std::optional<Address> {
    if (!found[name]) return std::nullopt;
    const Address at = found[name]->address;
    const std::uint64_t distance = at < *interpreters ? *interpreters - at : at - *interpreters;
    return distance < farthest ? std::optional(at) : std::nullopt;
  };
  // Either all of the GIL or nothing: half of it could be taken for a GIL that nobody waits for.
  constexpr std::array of_gil{gil_locked, gil_last_holder, gil_cond, gil_mutex, switch_cond, switch_mutex};
  const bool has_gil =
      std::all_of(of_gil.begin(), of_gil.end(), [&](Name name) { return address_of(name).has_value(); });
  const auto lowest_of = [&](Address lowest, std::span<const Name> names) {
    for (const Name name : names) lowest = std::min(lowest, address_of(name).value_or(lowest));
    return lowest;
  };
  constexpr std::array of_runtime{finalizing, main_thread, collecting};

  RuntimePlaces places;
  const Address gil = has_gil ? lowest_of(*address_of(gil_locked), of_gil) : *interpreters;
  const Address begin = lowest_of(std::min(*interpreters, gil), of_runtime);
  places.address = begin;
  places.runtime.interpreters_head = field_at<std::uint64_t>(begin, interpreters);
  places.runtime.finalizing = field_at<std::uint64_t>(begin, address_of(finalizing));
  places.runtime.main_thread = field_at<std::uint64_t>(begin, address_of(main_thread));
  places.runtime.gc_collecting = field_at<std::int32_t>(begin, address_of(collecting));
  if (!has_gil) return places;
  places.runtime.ceval_gil = field_at<char>(begin, gil);
  places.gil.locked = field_at<std::int32_t>(gil, address_of(gil_locked));
  places.gil.last_holder = field_at<std::uint64_t>(gil, address_of(gil_last_holder));
  places.gil.cond = field_at<char>(gil, address_of(gil_cond));
  places.gil.mutex = field_at<char>(gil, address_of(gil_mutex));
  places.gil.switch_cond = field_at<char>(gil, address_of(switch_cond));
  places.gil.switch_mutex = field_at<char>(gil, address_of(switch_mutex));
  places.gil.cond_size = static_cast<std::int32_t>(found[gil_cond]->size);
  places.gil.mutex_size = static_cast<std::int32_t>(found[gil_mutex]->size);
  return places;
}

}  // namespace pythreads::pyframes
