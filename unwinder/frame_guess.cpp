#include "unwinder/frame_guess.h"

#include <array>
#include <cstring>

#include "unwinder/cfi.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t most_links = 64;
constexpr std::size_t longest_call = 7;

// Whether a call instruction ends right before the last byte of `code` (Intel SDM volume 2, CALL: E8 rel32;
// FF /2 with its ModR/M, SIB and displacement).
bool ends_with_call(std::span<const std::uint8_t, longest_call> code) {
  if (code[longest_call - 5] == 0xe8) return true;
  for (std::size_t length = 2; length <= longest_call; ++length) {
    const std::size_t at = longest_call - length;
    if (code[at] != 0xff) continue;
    const unsigned modrm = code[at + 1];
    if ((modrm >> 3 & 7u) != 2) continue;
    const unsigned mode = modrm >> 6;
    const bool has_sib = mode != 3 && (modrm & 7u) == 4;
    std::size_t expected = 2 + (has_sib ? 1u : 0u);
    if (mode == 1) expected += 1;
    if (mode == 2 || (mode == 0 && (modrm & 7u) == 5)) expected += 4;
    if (mode == 0 && has_sib && length > 2 && (code[at + 2] & 7u) == 5) expected += 4;
    if (expected == length) return true;
  }
  return false;
}

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
CpuState caller_with(std::uint64_t pc, std::uint64_t sp, std::uint64_t rbp) {
  CpuState caller;
  caller.set(cfi_return_address, pc);
  caller.set(cfi_rsp, sp);
  caller.set(cfi_rbp, rbp);
  return caller;
}

}  // namespace

std::vector<CpuState> guess_callers(const CpuState& state, bool pc_is_exact, LoadedModules& modules,
                                    attach::TargetFiles& files, attach::Memory& lasting, StackWindow& stack) {
  // A function that makes no call may not have built a frame: then the return address is on top, and no
  // register has changed since the call as far as the caller is concerned.
  if (pc_is_exact) {
    const Result<std::uint64_t> top = stack.read_word(state.sp());
    if (top && is_proven_return_address(Address(*top), modules, files, lasting)) {
      CpuState caller = state;
      caller.set(cfi_return_address, *top);
      caller.set(cfi_rsp, state.sp().value + 8);
      return {caller};
    }
  }

  std::vector<CpuState> chain;
  std::optional<std::uint64_t> frame = state.get(cfi_rbp);
  std::uint64_t lowest = state.sp().value;
  while (frame && chain.size() < most_links) {
    if (*frame < lowest || *frame % 8 != 0) break;
    const Result<std::uint64_t> next = stack.read_word(Address(*frame));
    const Result<std::uint64_t> pc = stack.read_word(Address(*frame + 8));
    if (!next || !pc) break;
    chain.push_back(caller_with(*pc, *frame + 16, *next));
    if (is_proven_return_address(Address(*pc), modules, files, lasting)) return chain;
    if (modules.find(Address(*pc - 1)) != nullptr || !modules.may_be_code(Address(*pc - 1))) break;
    lowest = *frame + 16;
    frame = *next;
  }
  return {};
}

std::optional<CpuState> leave_signal_trampoline(const CpuState& state, LoadedModules& modules,
                                                attach::TargetFiles& files, attach::Memory& lasting,
                                                StackWindow& stack) {
  // mov $15, %rax (in either encoding); syscall
  constexpr std::array<std::uint8_t, 9> wide = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
  constexpr std::array<std::uint8_t, 7> narrow = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
  LoadedModule* module = modules.find(state.pc());
  if (module == nullptr) return std::nullopt;
  std::array<std::uint8_t, 9> code{};
  const std::size_t got =
      module->contents(files, lasting).read_up_to(state.pc(), std::as_writable_bytes(std::span(code)));
  if (got < narrow.size()) return std::nullopt;
  const bool matches =
      (got == wide.size() && code == wide) || std::memcmp(code.data(), narrow.data(), narrow.size()) == 0;
  if (!matches) return std::nullopt;

  // The stack pointer is at the ucontext; its registers follow uc_flags, uc_link and uc_stack.
  constexpr std::uint64_t registers_offset = 40;
  constexpr std::array<std::uint8_t, 17> order = {8,
                                                  9,
                                                  10,
                                                  11,
                                                  12,
                                                  13,
                                                  14,
                                                  15,
                                                  cfi_rdi,
                                                  cfi_rsi,
                                                  cfi_rbp,
                                                  cfi_rbx,
                                                  cfi_rdx,
                                                  cfi_rax,
                                                  cfi_rcx,
                                                  cfi_rsp,
                                                  cfi_return_address};
  CpuState caller;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Result<std::uint64_t> value = stack.read_word(state.sp() + registers_offset + i * 8);
    if (!value) return std::nullopt;
    caller.set(order[i], *value);
  }
  return caller;
}

}  // namespace pythreads::unwinder
