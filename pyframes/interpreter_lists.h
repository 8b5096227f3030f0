// What a list of interpreters looks like in bytes that nothing names: {head, main, next_id} of `struct
// pyinterpreters` (Include/internal/pycore_runtime.h, 3.8 to 3.12; later a runtime has its cookie). `head`
// leads over PyInterpreterState.next to `main`, which is the last and has a thread state that points back to
// it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/target.h"
#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes {

inline constexpr std::size_t interpreter_list_size = 24;

// One pointer of a struct that is followed before anything is held; null where the layout has no such field
// or it can't be read.
attach::Address pointer_at(attach::Memory& memory, attach::Address at, PointerField field);

// Whether the list that begins with `head` ends with `main`, of `most` interpreters at most.
bool ends_with(const RuntimeLayout& layout, attach::Memory& memory, attach::Address head,
               attach::Address main, int most);

class InterpreterLists {
 public:
  explicit InterpreterLists(attach::Target& target) : target_(target) {}

  // By its own bytes alone (interpreter_list_size at the least).
  bool may_be_one(std::span<const std::byte> bytes) const;

  // Where `_PyRuntime` would begin by each layout that finds such a list at `head`.
  std::vector<attach::Address> runtimes_of(attach::Address head) const;

 private:
  bool is_writable(std::uint64_t address) const;

  attach::Target& target_;
};

}  // namespace pythreads::pyframes
