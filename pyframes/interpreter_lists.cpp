#include "pyframes/interpreter_lists.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "pyframes/layouts.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Mapping;
using attach::Memory;
using attach::Result;

constexpr std::uint64_t lowest_address = 0x1000;
constexpr std::int64_t most_ids = 1'000'000;
constexpr int most_interpreters = 1000;

bool fits(const RuntimeLayout& layout, Memory& memory, Address head, Address main) {
  const Address thread = pointer_at(memory, main, layout.interpreter.threads_head);
  return !thread.is_null() && pointer_at(memory, thread, layout.thread_state.interp) == main &&
         ends_with(layout, memory, head, main, most_interpreters);
}

}  // namespace

Address pointer_at(Memory& memory, Address at, PointerField field) {
  if (!field.exists()) return Address();
  return memory.read_address(at + static_cast<std::uint64_t>(field.offset)).value_or(Address());
}

bool ends_with(const RuntimeLayout& layout, Memory& memory, Address head, Address main, int most) {
  for (int i = 0; i < most && !head.is_null(); ++i) {
    const Address next = pointer_at(memory, head, layout.interpreter.next);
    if (next.is_null()) return head == main;
    head = next;
  }
  return false;
}

bool InterpreterLists::is_writable(std::uint64_t address) const {
  const Mapping* mapping = attach::find_mapping(target_.mappings, Address(address));
  return mapping != nullptr && mapping->readable && mapping->writable;
}

bool InterpreterLists::may_be_one(std::span<const std::byte> bytes) const {
  std::uint64_t head = 0, main = 0;
  std::int64_t next_id = 0;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head < lowest_address || head % 8 != 0) return false;
  std::memcpy(&main, bytes.data() + 8, sizeof main);
  if (main < lowest_address || main % 8 != 0) return false;
  std::memcpy(&next_id, bytes.data() + 16, sizeof next_id);
  return next_id > 0 && next_id <= most_ids && is_writable(head) && is_writable(main);
}

std::vector<Address> InterpreterLists::runtimes_of(Address head_field) const {
  std::vector<Address> runtimes;
  Memory& memory = *target_.memory;
  const Result<Address> head = memory.read_address(head_field);
  const Result<Address> main = memory.read_address(head_field + 8);
  if (!head || !main) return runtimes;
  for (const LayoutRow& row : layout_rows()) {
    const RuntimeLayout& layout = *row.layout;
    const PointerField head_of = layout.runtime.interpreters_head;
    if (row.kind.debug || row.kind.free_threaded || !head_of.exists()) continue;
    if (layout.runtime.interpreters_main.offset != head_of.offset + 8) continue;
    const Address runtime = head_field - static_cast<std::uint64_t>(head_of.offset);
    if (std::find(runtimes.begin(), runtimes.end(), runtime) != runtimes.end()) continue;
    if (fits(layout, memory, *head, *main)) runtimes.push_back(runtime);
  }
  return runtimes;
}

}  // namespace pythreads::pyframes
