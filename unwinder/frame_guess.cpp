#include "unwinder/frame_guess.h"

#include <array>

#include "unwinder/architecture.h"
#include "unwinder/cfi.h"
#include "unwinder/frame_step.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t most_links = 64;
constexpr std::uint64_t most_scanned = 4096;  // bytes of stack; the frames of one library call
constexpr int enough_steps = 4;
constexpr int fewest_steps = 2;

bool is_proven_return_address(Address at, LoadedModules& modules, attach::TargetFiles& files,
                              attach::Memory& lasting) {
  if (at.value < longest_call) return false;
  LoadedModule* module = modules.find(at - 1);
  if (module == nullptr || !modules.may_be_code(at - 1)) return false;
  attach::Memory& contents = module->contents(files, lasting);
  std::array<std::uint8_t, longest_call> code{};
  if (!contents.read(at - longest_call, std::as_writable_bytes(std::span(code)))) return false;
  return ends_with_call(code) && find_cfi_row(contents, module->facts().eh_frame_hdr, at - 1).ok();
}

// Only these are known after a step that no table describes.
CpuState caller_with(const CpuState& state, std::uint64_t pc, std::uint64_t sp, std::uint64_t frame) {
  CpuState caller = state;
  for (std::size_t number = 0; number < cfi_register_count; ++number) caller.forget(number);
  caller.set_return(pc);
  caller.set(cfi_sp, sp);
  caller.set(cfi_fp, frame);
  return caller;
}

CpuState framed_caller(const CpuState& state, std::uint64_t pc, std::uint64_t frame, std::uint64_t next,
                       LoadedModules& modules, attach::TargetFiles& files, attach::Memory& lasting) {
  CpuState caller = caller_with(state, pc, frame + 16, next);
  LoadedModule* module = modules.find(caller.pc() - 1);
  if (module == nullptr) return caller;
  const Result<CfiRow> row =
      find_cfi_row(module->contents(files, lasting), module->facts().eh_frame_hdr, caller.pc() - 1);
  caller.set(cfi_sp, callers_stack_pointer(row ? &*row : nullptr, frame, next));
  return caller;
}

bool has_row(Address at, LoadedModules& modules, attach::TargetFiles& files, attach::Memory& lasting) {
  LoadedModule* module = modules.find(at);
  return module != nullptr &&
         find_cfi_row(module->contents(files, lasting), module->facts().eh_frame_hdr, at).ok();
}

// Whether the tables lead on from this frame, each time to an address that follows a call: where a stale
// word was taken for the return address, the frame's size leads to a word that is none.
bool leads_on(CpuState state, LoadedModules& modules, attach::TargetFiles& files, attach::Memory& lasting,
              StackWindow& stack) {
  for (int steps = 0; steps < enough_steps; ++steps) {
    LoadedModule* module = modules.find(state.pc() - 1);
    if (module == nullptr) return false;
    attach::Memory& contents = module->contents(files, lasting);
    const Result<CfiRow> row = find_cfi_row(contents, module->facts().eh_frame_hdr, state.pc() - 1);
    if (!row) return steps >= fewest_steps;
    const Address before = state.sp();
    const Result<StepOutcome> outcome = step_by_row(*row, contents, stack, state);
    if (!outcome) return false;
    if (*outcome == StepOutcome::root) return true;
    // The outermost function may have been called by one without tables.
    if (modules.find(state.pc() - 1) == nullptr || state.sp() <= before) return false;
    if (!is_proven_return_address(state.pc(), modules, files, lasting)) {
      return !has_row(state.pc() - 1, modules, files, lasting) && modules.may_be_code(state.pc() - 1) &&
             steps + 1 >= fewest_steps;
    }
  }
  return true;
}

// Whether the call before a return address may lead to code without tables. What it called before from the
// same place has left return addresses of its own on the stack, and their calls lead elsewhere.
bool may_call_without_tables(Address at, LoadedModules& modules, attach::TargetFiles& files,
                             attach::Memory& lasting) {
  LoadedModule* module = modules.find(at - 1);
  if (module == nullptr) return false;
  attach::Memory& contents = module->contents(files, lasting);
  std::array<std::uint8_t, longest_call> call{};
  if (!contents.read(at - longest_call, std::as_writable_bytes(std::span(call)))) return false;
  const std::optional<Address> called = called_directly(call, at);
  if (!called || !has_row(*called, modules, files, lasting)) return true;
  std::array<std::uint8_t, linkage_entry_bytes> entry{};
  LoadedModule* callee = modules.find(*called);
  if (!callee->contents(files, lasting).read(*called, std::as_writable_bytes(std::span(entry)))) return false;
  const std::optional<Address> slot = linkage_slot(entry, *called);
  if (!slot) return false;
  const Result<Address> bound = lasting.read_address(*slot);
  return bound && !has_row(*bound, modules, files, lasting);
}

// musl is built without unwind tables and without frame pointers: what called into it is found on the stack.
std::optional<CpuState> scan_for_caller(const CpuState& state, LoadedModules& modules,
                                        attach::TargetFiles& files, attach::Memory& lasting,
                                        StackWindow& stack) {
  const std::uint64_t begin = (state.sp().value + 7) & ~std::uint64_t{7};
  for (std::uint64_t at = begin; at < begin + most_scanned; at += 8) {
    const Result<std::uint64_t> word = stack.read_word(Address(at));
    if (!word) break;
    if (!is_proven_return_address(Address(*word), modules, files, lasting)) continue;
    if (!may_call_without_tables(Address(*word), modules, files, lasting)) continue;
    CpuState caller = caller_with(state, *word, at + 8, 0);
    caller.forget(cfi_fp);
    if (leads_on(caller, modules, files, lasting, stack)) return caller;
  }
  return std::nullopt;
}

}  // namespace

std::vector<CpuState> guess_callers(const CpuState& state, bool pc_is_exact, LoadedModules& modules,
                                    attach::TargetFiles& files, attach::Memory& lasting, StackWindow& stack) {
  // A function that makes no call may not have built a frame: then no register has changed since the
  // call as far as the caller is concerned.
  if (pc_is_exact) {
    const std::optional<CpuState> caller = caller_of_leaf(state, stack);
    if (caller && is_proven_return_address(caller->pc(), modules, files, lasting)) return {*caller};
  }

  std::vector<CpuState> chain;
  std::optional<std::uint64_t> frame = state.get(cfi_fp);
  std::uint64_t lowest = state.sp().value;
  while (frame && chain.size() < most_links) {
    if (*frame < lowest || *frame % 8 != 0) break;
    const Result<std::uint64_t> next = stack.read_word(Address(*frame));
    const Result<std::uint64_t> pc = stack.read_word(Address(*frame + 8));
    if (!next || !pc) break;
    const CpuState caller = framed_caller(state, *pc, *frame, *next, modules, files, lasting);
    chain.push_back(caller);
    if (is_proven_return_address(caller.pc(), modules, files, lasting)) return chain;
    if (modules.find(caller.pc() - 1) != nullptr || !modules.may_be_code(caller.pc() - 1)) break;
    lowest = *frame + 16;
    frame = *next;
  }
  if (modules.find(state.pc()) == nullptr) return {};
  if (std::optional<CpuState> caller = scan_for_caller(state, modules, files, lasting, stack))
    return {*caller};
  return {};
}

std::optional<CpuState> leave_signal_trampoline(const CpuState& state, LoadedModules& modules,
                                                attach::TargetFiles& files, attach::Memory& lasting,
                                                StackWindow& stack) {
  LoadedModule* module = modules.find(state.pc());
  if (module == nullptr) return std::nullopt;
  std::array<std::uint8_t, signal_return_bytes> code{};
  const std::size_t got =
      module->contents(files, lasting).read_up_to(state.pc(), std::as_writable_bytes(std::span(code)));
  if (!is_signal_return(std::span(code).first(got))) return std::nullopt;
  return registers_of_signal_frame(state, stack);
}

}  // namespace pythreads::unwinder
