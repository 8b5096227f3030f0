#include "pyframes/frame_slots.h"

#include <span>
#include <string>
#include <utility>

#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Result;

// More than a compiler of Python makes; a code object of more is not believed.
constexpr std::uint64_t max_slots = 65536;
constexpr std::uint64_t word_size = sizeof(std::uint64_t);

Error no_sizes() {
  return Error{ErrorCode::corrupt, "the code object does not tell its frame's size", ""};
}

Result<std::uint64_t> tuple_length(Reading& reading, const StructCopy& code, PointerField field) {
  const std::optional<Address> tuple = code.pointer(field);
  if (!tuple) return no_sizes();
  if (tuple->is_null()) return std::uint64_t{0};
  Result<std::uint64_t> length = reading.lasting.read_value<std::uint64_t>(
      *tuple + static_cast<std::uint64_t>(reading.layout().tuple.ob_size.offset));
  if (length && *length > max_slots) return no_sizes();
  return length;
}

Result<FrameSize> read_frame_size(Reading& reading, Address code) {
  const RuntimeLayout& layout = reading.layout();
  Result<StructCopy> copy = StructCopy::read(reading.lasting, code, layout.code.size);
  if (!copy) return std::move(copy).error();
  std::uint64_t variables = 0;
  if (layout.code.co_nlocalsplus.exists()) {
    const std::optional<std::int32_t> count = copy->get(layout.code.co_nlocalsplus);
    if (!count || *count < 0) return no_sizes();
    variables = static_cast<std::uint64_t>(*count);
  } else {
    const std::optional<std::int32_t> locals = copy->get(layout.code.co_nlocals);
    if (!locals || *locals < 0) return no_sizes();
    const Result<std::uint64_t> cells = tuple_length(reading, *copy, layout.code.co_cellvars);
    if (!cells) return cells.error();
    const Result<std::uint64_t> frees = tuple_length(reading, *copy, layout.code.co_freevars);
    if (!frees) return frees.error();
    variables = static_cast<std::uint64_t>(*locals) + *cells + *frees;
  }
  const std::optional<std::int32_t> stack = copy->get(layout.code.co_stacksize);
  if (!stack || *stack < 0) return no_sizes();
  if (variables > max_slots || static_cast<std::uint64_t>(*stack) > max_slots) return no_sizes();
  constexpr std::int32_t optimized = 1;  // CO_OPTIMIZED
  const std::int32_t flags = copy->get(layout.code.co_flags).value_or(optimized);
  return FrameSize{static_cast<std::size_t>(variables), static_cast<std::size_t>(*stack),
                   (flags & optimized) != 0};
}

}  // namespace

Result<FrameSize> frame_size(Reading& reading, Address code) {
  if (const auto known = reading.frame_sizes.find(code); known != reading.frame_sizes.end())
    return known->second;
  const Result<FrameSize> size = read_frame_size(reading, code);
  if (size) reading.frame_sizes.emplace(code, *size);
  return size;
}

attach::Range frame_slots(const RuntimeLayout& layout, const FrameCopy& frame, const FrameSize& size) {
  const PointerField field = layout.interpreter_frame.localsplus.exists()
                                 ? layout.interpreter_frame.localsplus
                                 : layout.frame_object.f_localsplus;
  if (!field.exists()) return {frame.address, 0};
  return {frame.address + static_cast<std::uint64_t>(field.offset),
          (size.variables + size.value_stack) * word_size};
}

Result<std::uint64_t> read_slot(Reading& reading, attach::Range slots, std::size_t index) {
  if (index >= slots.size / word_size) return no_sizes();
  return reading.memory.read_value<std::uint64_t>(slots.begin + index * word_size);
}

Result<std::vector<std::uint64_t>> read_slots(Reading& reading, attach::Range slots, std::size_t first,
                                              std::size_t count) {
  if (slots.size == 0 || first + count > slots.size / word_size) {
    if (count == 0) return std::vector<std::uint64_t>{};
    return no_sizes();
  }
  std::vector<std::uint64_t> words(count);
  const attach::Result<void> done =
      reading.memory.read(slots.begin + first * word_size, std::as_writable_bytes(std::span(words)));
  if (!done) return done.error();
  return words;
}

std::optional<Address> referred_object(const RuntimeLayout& layout, std::uint64_t word) {
  constexpr std::uint64_t tags = 3;
  if (layout.tagged_stackrefs) {
    if ((word & tags) == tags) return std::nullopt;
    word &= ~tags;
  }
  if (word == 0 || word % word_size != 0) return std::nullopt;
  return Address(word);
}

}  // namespace pythreads::pyframes
