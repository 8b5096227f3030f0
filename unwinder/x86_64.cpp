#include <algorithm>
#include <cstring>

#include "unwinder/architecture.h"

namespace pythreads::unwinder {

using attach::Address;
using attach::Result;

bool is_callee_saved(std::size_t number) {
  constexpr std::array<std::size_t, 6> saved = {3, 6, 12, 13, 14, 15};  // rbx, rbp, r12 to r15
  return std::find(saved.begin(), saved.end(), number) != saved.end();
}

bool may_return_by_register() {
  return false;
}

bool is_about_signing(std::uint8_t) {
  return false;
}
bool is_about_signing(char) {
  return false;
}

// Intel SDM volume 2, CALL: E8 rel32; FF /2 with its ModR/M, SIB and displacement.
bool ends_with_call(std::span<const std::uint8_t, longest_call> code) {
  if (code[longest_call - 5] == 0xe8) return true;
  constexpr std::size_t longest_indirect = 7;
  for (std::size_t length = 2; length <= longest_indirect; ++length) {
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

// CALL rel32
std::optional<Address> called_directly(std::span<const std::uint8_t, longest_call> code, Address at) {
  if (code[longest_call - 5] != 0xe8) return std::nullopt;
  std::int32_t distance = 0;
  std::memcpy(&distance, code.data() + longest_call - 4, sizeof distance);
  return Address(at.value + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance)));
}

// JMP [rip + disp32], after ENDBR64 and a BND prefix where there are any.
std::optional<Address> linkage_slot(std::span<const std::uint8_t, linkage_entry_bytes> code, Address at) {
  constexpr std::array<std::uint8_t, 4> endbr64 = {0xf3, 0x0f, 0x1e, 0xfa};
  std::size_t begin = std::equal(endbr64.begin(), endbr64.end(), code.begin()) ? endbr64.size() : 0;
  if (code[begin] == 0xf2) ++begin;
  if (code[begin] != 0xff || code[begin + 1] != 0x25) return std::nullopt;
  std::int32_t distance = 0;
  std::memcpy(&distance, code.data() + begin + 2, sizeof distance);
  return Address(at.value + begin + 6 + static_cast<std::uint64_t>(static_cast<std::int64_t>(distance)));
}

// The return address is on top.
std::optional<CpuState> caller_of_leaf(const CpuState& state, StackWindow& stack) {
  const Result<std::uint64_t> top = stack.read_word(state.sp());
  if (!top) return std::nullopt;
  CpuState caller = state;
  caller.set(cfi_pc, *top);
  caller.set(cfi_sp, state.sp().value + 8);
  return caller;
}

std::uint64_t callers_stack_pointer(const CfiRow*, std::uint64_t frame, std::uint64_t) {
  return frame + 16;
}

// mov $15, %rax (in either encoding); syscall
bool is_signal_return(std::span<const std::uint8_t> code) {
  constexpr std::array<std::uint8_t, 9> wide = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
  constexpr std::array<std::uint8_t, 7> narrow = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
  const auto begins_with = [code](std::span<const std::uint8_t> wanted) {
    return code.size() >= wanted.size() && std::equal(wanted.begin(), wanted.end(), code.begin());
  };
  return begins_with(wide) || begins_with(narrow);
}

// arch/x86/include/asm/sigframe.h, struct rt_sigframe: the stack pointer is at the ucontext, whose registers
// follow uc_flags, uc_link and uc_stack.
std::optional<CpuState> registers_of_signal_frame(const CpuState& state, StackWindow& stack) {
  constexpr std::uint64_t registers_offset = 40;
  // r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip
  constexpr std::array<std::uint8_t, 17> order = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
  CpuState caller;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Result<std::uint64_t> value = stack.read_word(state.sp() + registers_offset + i * 8);
    if (!value) return std::nullopt;
    caller.set(order[i], *value);
  }
  return caller;
}

}  // namespace pythreads::unwinder
