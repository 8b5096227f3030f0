#include "pyframes/with_blocks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pyframes/bytecode.h"
#include "pyframes/exception_table.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frames.h"
#include "pyframes/instrumentation.h"
#include "pyframes/line_table.h"
#include "pyframes/objects.h"
#include "pyframes/opcodes.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr int max_blocks = 100;             // CO_MAXBLOCKS is 20 to 3.12
constexpr std::size_t max_table = 1 << 20;  // bytes of an exception table or of bytecode
constexpr std::uint64_t unit_size = 2;      // of an instruction

class WithBlocks {
 public:
  WithBlocks(Reading& reading, const FrameCopy& frame, const Opcodes& opcodes)
      : reading_(reading), frame_(frame), opcodes_(opcodes) {}

  // Whether there may be any. As cheap as it can be: most frames have none.
  bool may_have_any() {
    if (layout().frame_style == FrameStyle::frame_objects)
      return frame_.frame.get(layout().frame_object.f_iblock).value_or(0) > 0;
    const std::vector<CoveringHandler>& handlers = covering_handlers();
    return std::any_of(handlers.begin(), handlers.end(),
                       [](const CoveringHandler& each) { return each.of_with; });
  }

  // The objects that lie where a block's `__exit__` does.
  std::vector<Address> exits() {
    std::vector<Address> found;
    const auto add_exit = [&](std::uint32_t depth) {
      if (const std::optional<Address> exit = exit_at(depth)) found.push_back(*exit);
    };
    if (layout().frame_style == FrameStyle::frame_objects) {
      for (const StructCopy& block : blocks()) {
        const std::int32_t level = block.get(layout().try_block.b_level).value_or(0);
        if (level > 0) add_exit(static_cast<std::uint32_t>(level));
      }
    } else {
      for (const CoveringHandler& each : covering_handlers()) {
        if (each.of_with) add_exit(each.handler.depth);
      }
    }
    return found;
  }

  std::vector<OpenWith> find() {
    if (layout().frame_style == FrameStyle::frame_objects) {
      by_block_stack();
    } else {
      by_exception_table();
    }
    return std::move(found_);
  }

  std::vector<OpenWith> find_entered() {
    if (layout().frame_style == FrameStyle::frame_objects) {
      entered_by_setup();
    } else {
      entered_by_exception_table();
    }
    return std::move(found_);
  }

  std::vector<std::int64_t> find_handlers() {
    if (layout().frame_style == FrameStyle::frame_objects) {
      by_block_stack();
    } else {
      for (const CoveringHandler& each : covering_handlers()) handlers_.push_back(each.handler.target);
    }
    return std::move(handlers_);
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }

  bool read_head() {
    const Result<std::shared_ptr<const Code>> code = read_code_head(reading_, frame_.code);
    if (code) code_ = *code;
    return code.ok();
  }

  // ---- a block that is being entered

  // To 3.10 SETUP_WITH calls `__enter__` itself, and `__exit__` lies on top of the value stack. How deep that
  // is is not known: what lies above is stale, and below, down to the innermost block's level, are iterators
  // of loops.
  void entered_by_setup() {
    if (!read_head()) return;
    const std::int64_t at = instruction_of(reading_, frame_, *code_).value_or(-1);
    if (at < 0 || !read_bytecode() || static_cast<std::size_t>(at) >= bytecode_->size()) return;
    const std::uint8_t opcode = (*bytecode_)[static_cast<std::size_t>(at)];
    if (opcode != opcodes_.setup_with && opcode != opcodes_.setup_async_with) return;
    const Result<FrameSize> size = frame_size(reading_, frame_.code);
    if (!size) return;
    const std::vector<StructCopy> open = blocks();
    // It has been executed, and another instruction has not: the block is open.
    if (!open.empty() && setup_of(handler_of(open.front())) == at) return;
    const std::int32_t level = open.empty() ? 0 : open.front().get(layout().try_block.b_level).value_or(0);
    if (level < 0 || static_cast<std::size_t>(level) > size->value_stack) return;
    const auto first = static_cast<std::size_t>(level);
    const Result<std::vector<std::uint64_t>> words = read_slots(
        reading_, frame_slots(layout(), frame_, *size), size->variables + first, size->value_stack - first);
    if (!words) return;
    for (const std::uint64_t word : *words) {
      const std::optional<Address> exit = referred_object(layout(), word);
      const std::optional<Address> self = exit ? bound_self(*exit) : std::nullopt;
      if (self) return add(self, at, at, line_at(at));
    }
  }

  // The next instruction is the first of a block. 3.11 to 3.13: the manager lies where its `__exit__` will.
  void entered_by_exception_table() {
    const auto [known, added] = reading_.entering.try_emplace(place());
    if (added) known->second = find_entered_block();
    if (!known->second) return;
    const CoveringHandler& block = *known->second;
    const std::optional<Address> exit =
        opcodes_.keeps_manager ? exit_owner(block.handler.depth) : slot_below(block.handler.depth);
    add(exit, block.begin, block.handler.target, line_at(block.handler.target));
  }

  std::optional<CoveringHandler> find_entered_block() {
    const std::shared_ptr<const ExceptionTable> table = exception_table_of(reading_, frame_.code);
    if (!table || table->empty() || !read_head()) return std::nullopt;
    const std::int64_t at = instruction_of(reading_, frame_, *code_).value_or(-1);
    if (at < 0) return std::nullopt;
    const std::shared_ptr<const Bytecode> bytecode = pyframes::read_bytecode(reading_, frame_.code);
    if (!bytecode) return std::nullopt;
    const auto next = std::find_if(bytecode->instructions.begin(), bytecode->instructions.end(),
                                   [&](const Instruction& each) { return each.at > at; });
    if (next == bytecode->instructions.end()) return std::nullopt;
    const std::optional<ExceptionHandler> handler = find_handler(*table, next->at);
    const std::optional<ExceptionHandler> current = find_handler(*table, at);
    if (!handler || (current && current->target == handler->target)) return std::nullopt;
    if (find_first_covered(*table, handler->target) != next->at || !is_with_handler(handler->target))
      return std::nullopt;
    return CoveringHandler{*handler, next->at, true};
  }

  std::optional<Address> slot_below(std::uint32_t depth) {
    const std::optional<Address> object = stack_object(depth, 1);
    if (!object) return std::nullopt;
    const std::optional<Address> self = bound_self(*object);
    return self ? self : object;
  }

  // ---- to 3.10

  // The block stack, innermost first.
  std::vector<StructCopy> blocks() {
    std::vector<StructCopy> found;
    const auto& fields = layout().frame_object;
    const std::int32_t count = frame_.frame.get(fields.f_iblock).value_or(0);
    if (count <= 0 || count > max_blocks || !fields.f_blockstack.exists()) return found;
    const Address first = frame_.address + static_cast<std::uint64_t>(fields.f_blockstack.offset);
    const std::int32_t size = layout().try_block.size;
    for (std::int32_t i = count - 1; i >= 0; --i) {
      Result<StructCopy> block = StructCopy::read(
          reading_.memory, first + static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(size), size);
      if (!block) break;
      found.push_back(*std::move(block));
    }
    return found;
  }

  std::int64_t handler_of(const StructCopy& block) const {
    const std::int64_t handler = block.get(layout().try_block.b_handler).value_or(-1);
    return layout().instruction_style == InstructionStyle::unit_index ? handler * unit_size : handler;
  }

  void by_block_stack() {
    const auto& block_fields = layout().try_block;
    const std::vector<StructCopy> open = blocks();
    if (open.empty() || !read_bytecode()) return;
    for (const StructCopy& block : open) {
      const std::int32_t type = block.get(block_fields.b_type).value_or(-1);
      const std::int32_t level = block.get(block_fields.b_level).value_or(-1);
      const std::int64_t handler = handler_of(block);
      if (type != opcodes_.setup_finally || handler < 0) continue;
      if (static_cast<std::size_t>(handler) >= bytecode_->size()) continue;
      handlers_.push_back(handler);
      if (level < 1) continue;
      if ((*bytecode_)[static_cast<std::size_t>(handler)] != opcodes_.with_except_start) continue;
      const std::int64_t begin = setup_of(handler);
      add(exit_owner(static_cast<std::uint32_t>(level)), begin, handler, line_at(begin));
    }
  }

  bool read_bytecode() {
    const auto [known, added] = reading_.co_codes.try_emplace(frame_.code);
    if (added && layout().code.co_code.exists()) {
      const Result<Address> bytes = reading_.lasting.read_address(
          frame_.code + static_cast<std::uint64_t>(layout().code.co_code.offset));
      Result<BytesValue> value = bytes ? read_bytes(layout(), reading_.lasting, *bytes, max_table)
                                       : Result<BytesValue>(bytes.error());
      if (value && !value->cut)
        known->second = std::make_shared<const std::vector<std::uint8_t>>(std::move(value->bytes));
    }
    bytecode_ = known->second;
    return bytecode_ != nullptr;
  }

  // Where the SETUP_WITH is that jumps to this handler.
  std::int64_t setup_of(std::int64_t handler) const {
    std::uint64_t argument = 0;
    for (std::size_t at = 0; at + 1 < bytecode_->size(); at += unit_size) {
      const std::uint8_t opcode = (*bytecode_)[at];
      argument = (argument << 8 | (*bytecode_)[at + 1]) & 0xFFFFFFFFU;
      if (opcode == opcodes_.extended_arg) continue;
      const bool in_units = layout().instruction_style == InstructionStyle::unit_index;
      const std::uint64_t target = at + unit_size + argument * (in_units ? unit_size : 1);
      argument = 0;
      if (opcode != opcodes_.setup_with && opcode != opcodes_.setup_async_with) continue;
      if (target == static_cast<std::uint64_t>(handler)) return static_cast<std::int64_t>(at);
    }
    return handler;
  }

  // ---- from 3.11

  void by_exception_table() {
    for (const CoveringHandler& each : covering_handlers()) {
      if (!each.of_with || is_popped(each.handler.depth)) continue;
      add(exit_owner(each.handler.depth), each.begin, each.handler.target, line_at(each.handler.target),
          has_passed(each.handler.depth));
    }
  }

  Address place() const {
    return frame_.frame.pointer(layout().interpreter_frame.instr_ptr).value_or(Address());
  }

  // Innermost first. Many threads stand at one place.
  const std::vector<CoveringHandler>& covering_handlers() {
    const auto [known, added] = reading_.covering.try_emplace(place());
    if (added) known->second = find_covering_handlers();
    return known->second;
  }

  std::vector<CoveringHandler> find_covering_handlers() {
    std::vector<CoveringHandler> found;
    const std::shared_ptr<const ExceptionTable> table = exception_table_of(reading_, frame_.code);
    if (!table || table->empty() || !read_head()) return found;
    std::optional<std::int64_t> at = instruction_of(reading_, frame_, *code_);
    if (at && !find_handler(*table, *at)) at = next_covered(*table, *at);
    while (at && found.size() < max_blocks) {
      const std::optional<ExceptionHandler> handler = find_handler(*table, *at);
      const bool again = handler && std::any_of(found.begin(), found.end(), [&](const CoveringHandler& each) {
                           return each.handler.target == handler->target;
                         });
      if (!handler || again) break;
      found.push_back(
          {*handler, find_first_covered(*table, handler->target), is_with_handler(handler->target)});
      at = handler->target;
    }
    return found;
  }

  // Jumps and instructions that do nothing are in no entry, for they raise nothing: where they lead to is
  // inside of the same blocks.
  std::optional<std::int64_t> next_covered(const ExceptionTable& table, std::int64_t at) {
    constexpr int farthest = 8;
    const OpcodeTable* kinds = find_opcode_table(reading_.runtime.version);
    if (kinds == nullptr || at < 0) return std::nullopt;
    const std::optional<std::uint8_t> opcode = opcode_at(reading_, frame_.code, at);
    if (!opcode || !is_transparent(kinds->kind(*opcode))) return std::nullopt;
    const std::shared_ptr<const Bytecode> bytecode = pyframes::read_bytecode(reading_, frame_.code);
    if (!bytecode) return std::nullopt;
    const std::vector<Instruction>& all = bytecode->instructions;
    for (int step = 0; step < farthest; ++step) {
      auto place =
          std::lower_bound(all.begin(), all.end(), at,
                           [](const Instruction& each, std::int64_t value) { return each.at < value; });
      if (place == all.end() || place->offset > at) return std::nullopt;
      if (find_handler(table, place->offset)) return place->offset;
      const auto next = place + 1;
      if (!is_transparent(place->op) || next == all.end()) return std::nullopt;
      const auto distance = static_cast<std::int64_t>(place->argument * unit_size);
      at = next->offset;
      if (place->op == Op::jump_forward) at += distance;
      if (place->op == Op::jump_backward) at -= distance;
    }
    return std::nullopt;
  }

  static bool is_transparent(Op op) {
    return op == Op::nop || op == Op::jump_forward || op == Op::jump_backward || op == Op::extended_arg;
  }

  // The stack's end is kept while something is called, a tracer too that is told of an exception that leaves
  // the frame: then nothing is on the stack any more, and the instruction is still the one that raised it.
  bool is_popped(std::uint32_t depth) {
    const Result<FrameSize> size = frame_size(reading_, frame_.code);
    if (!size) return false;
    const auto& fields = layout().interpreter_frame;
    const std::uint64_t needed = size->variables + depth;
    if (fields.stacktop.exists()) {
      const std::int32_t top = frame_.frame.get(fields.stacktop).value_or(-1);  // in words; negative: it runs
      return top >= 0 && static_cast<std::uint64_t>(top) < needed;
    }
    const Address end = frame_.frame.pointer(fields.stackpointer).value_or(Address());  // null: it runs
    const Address first = frame_slots(layout(), frame_, *size).begin;
    return !end.is_null() && end >= first && end < first + needed * sizeof(std::uint64_t);
  }

  // RERAISE sets the frame's instruction back to what it finds there: the place of the first raise.
  bool has_passed(std::uint32_t depth) {
    const Result<FrameSize> size = frame_size(reading_, frame_.code);
    if (!size || depth >= size->value_stack || !read_head()) return false;
    const std::optional<std::int64_t> at = instruction_of(reading_, frame_, *code_);
    const Result<std::uint64_t> word =
        read_slot(reading_, frame_slots(layout(), frame_, *size), size->variables + depth);
    if (!at || !word) return false;
    const std::optional<std::int64_t> pushed = int_of(*word);
    return pushed && *pushed * static_cast<std::int64_t>(unit_size) == *at;
  }

  std::optional<std::int64_t> int_of(std::uint64_t word) {
    constexpr unsigned tag_bits = 2;
    constexpr std::uint64_t int_tag = 3;
    if (layout().tagged_stackrefs && (word & int_tag) == int_tag)
      return static_cast<std::int64_t>(word) >> tag_bits;
    const std::optional<Address> object = referred_object(layout(), word);
    const Result<std::uint64_t> flags =
        object ? object_flags(layout(), reading_.memory, *object) : Result<std::uint64_t>(0);
    if (!object || !flags || (*flags & type_flag::long_subclass) == 0) return std::nullopt;
    const Result<IntValue> value = read_int(layout(), reading_.memory, *object);
    return value ? value->as_int64() : std::nullopt;
  }

  // PUSH_EXC_INFO, WITH_EXCEPT_START. Only the second is looked at; neither is ever specialised.
  bool is_with_handler(std::int64_t target) {
    return opcode_at(reading_, frame_.code, target + std::int64_t{unit_size}) == opcodes_.with_except_start;
  }

  // ---- both

  std::size_t kept_slots() const { return opcodes_.keeps_manager ? 2 : 1; }

  // The object in the slot that lies `below` words below `depth`.
  std::optional<Address> stack_object(std::uint32_t depth, std::size_t below) {
    const Result<FrameSize> size = frame_size(reading_, frame_.code);
    if (!size || depth < below || depth > size->value_stack) return std::nullopt;
    const Result<std::uint64_t> word =
        read_slot(reading_, frame_slots(layout(), frame_, *size), size->variables + depth - below);
    return word ? referred_object(layout(), *word) : std::nullopt;
  }

  std::optional<Address> exit_at(std::uint32_t depth) { return stack_object(depth, kept_slots()); }

  // Who will be exited: the self of the bound `__exit__` in the slot below `depth`, or the manager beside it.
  std::optional<Address> exit_owner(std::uint32_t depth) {
    const std::optional<Address> exit = exit_at(depth);
    if (!exit) return std::nullopt;
    if (const std::optional<Address> self = bound_self(*exit)) return self;
    return opcodes_.keeps_manager ? stack_object(depth, 1) : std::nullopt;
  }

 public:
  std::optional<Address> bound_self(Address method) {
    const Result<Address> type = type_of(layout(), reading_.memory, method);
    if (!type) return std::nullopt;
    const auto [known, added] = reading_.bound_selves.try_emplace(*type);
    if (added) {
      const Result<std::string> name = type_name(layout(), reading_.lasting, *type);
      if (name) known->second = bound_self_field(layout(), *name);
    }
    const PointerField field = known->second;
    if (!field.exists()) return std::nullopt;
    const Result<Address> self =
        reading_.memory.read_address(method + static_cast<std::uint64_t>(field.offset));
    if (!self || self->is_null()) return std::nullopt;
    return *self;
  }

 private:
  int line_at(std::int64_t instruction) const {
    if (reading_.held) return 0;
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame_.code);
    if (!code) return 0;
    return find_position(layout().line_table, (*code)->line_table, (*code)->first_line, instruction).line;
  }

  void add(std::optional<Address> manager, std::int64_t begin, std::int64_t handler, int line,
           bool passed = false) {
    if (manager) found_.push_back({*manager, begin, handler, line, passed});
  }

  Reading& reading_;
  const FrameCopy& frame_;
  const Opcodes& opcodes_;
  std::shared_ptr<const Code> code_;
  std::shared_ptr<const std::vector<std::uint8_t>> bytecode_;
  std::vector<OpenWith> found_;
  std::vector<std::int64_t> handlers_;
};

}  // namespace

std::shared_ptr<const ExceptionTable> exception_table_of(Reading& reading, Address code) {
  const auto [known, added] = reading.exception_tables.try_emplace(code);
  if (!added) return known->second;
  const PointerField field = reading.layout().code.co_exceptiontable;
  if (!field.exists()) return nullptr;
  const Result<Address> bytes = reading.lasting.read_address(code + static_cast<std::uint64_t>(field.offset));
  if (!bytes) return nullptr;
  Result<BytesValue> table = read_bytes(reading.layout(), reading.lasting, *bytes, max_table);
  if (!table || table->cut) return nullptr;
  return known->second = std::make_shared<const ExceptionTable>(parse_exception_table(table->bytes));
}

std::vector<std::int64_t> open_handlers(Reading& reading, const FrameCopy& frame) {
  const Opcodes* opcodes = find_opcodes(reading.runtime.version);
  if (opcodes == nullptr) return {};
  return WithBlocks(reading, frame, *opcodes).find_handlers();
}

bool may_have_with_blocks(Reading& reading, const FrameCopy& frame) {
  const Opcodes* opcodes = find_opcodes(reading.runtime.version);
  return opcodes != nullptr && WithBlocks(reading, frame, *opcodes).may_have_any();
}

void fetch_managers(Reading& reading, const std::vector<const FrameCopy*>& frames) {
  const Opcodes* opcodes = find_opcodes(reading.runtime.version);
  if (opcodes == nullptr) return;
  constexpr std::uint64_t bytes = 64;  // a bound method, a lock, an instance's head
  std::vector<attach::Range> methods, managers;
  for (const FrameCopy* frame : frames) {
    for (const Address exit : WithBlocks(reading, *frame, *opcodes).exits()) methods.push_back({exit, bytes});
  }
  reading.memory.prefetch(methods);
  for (const attach::Range& method : methods) {
    const std::optional<Address> self =
        WithBlocks(reading, *frames.front(), *opcodes).bound_self(method.begin);
    if (self) managers.push_back({*self, bytes});
  }
  reading.memory.prefetch(managers);
}

std::vector<OpenWith> entered_with_blocks(Reading& reading, const FrameCopy& frame) {
  const Opcodes* opcodes = find_opcodes(reading.runtime.version);
  return opcodes ? WithBlocks(reading, frame, *opcodes).find_entered() : std::vector<OpenWith>{};
}

std::vector<OpenWith> open_with_blocks(Reading& reading, const FrameCopy& frame) {
  const Opcodes* opcodes = find_opcodes(reading.runtime.version);
  return opcodes ? WithBlocks(reading, frame, *opcodes).find() : std::vector<OpenWith>{};
}

}  // namespace pythreads::pyframes
