#include <cstring>

#include "unwinder/architecture.h"

namespace pythreads::unwinder {

using attach::Address;
using attach::Result;

bool is_callee_saved(std::size_t number) {
  return number >= 19 && number <= attach::frame_pointer_register;  // AAPCS64, 6.1.1
}

bool may_return_by_register() {
  return true;
}

// DW_CFA_AARCH64_negate_ra_state (the number of DW_CFA_GNU_window_save) and the form with a pc of 2024;
// augmentation B: signed with the other key. AADWARF64, sections 5.2 and 5.3.
bool is_about_signing(std::uint8_t instruction) {
  return instruction == 0x2d || instruction == 0x2c;
}
bool is_about_signing(char augmentation) {
  return augmentation == 'B';
}

// Arm ARM, C6.2: BL; BLR; BLRAA, BLRAAZ, BLRAB, BLRABZ.
bool ends_with_call(std::span<const std::uint8_t, longest_call> code) {
  std::uint32_t instruction = 0;
  std::memcpy(&instruction, &code[longest_call - sizeof instruction], sizeof instruction);
  return (instruction & 0xfc000000u) == 0x94000000u || (instruction & 0xfffffc1fu) == 0xd63f0000u ||
         (instruction & 0xfefff800u) == 0xd63f0800u;
}

// BL imm26
std::optional<Address> called_directly(std::span<const std::uint8_t, longest_call> code, Address at) {
  std::uint32_t instruction = 0;
  std::memcpy(&instruction, &code[longest_call - sizeof instruction], sizeof instruction);
  if ((instruction & 0xfc000000u) != 0x94000000u) return std::nullopt;
  const std::int64_t words = static_cast<std::int32_t>(instruction << 6u) >> 6;
  return Address(at.value - 4 + static_cast<std::uint64_t>(words * 4));
}

// After BTI c where there is one: ADRP x16, page; LDR x17, [x16, #offset].
std::optional<Address> linkage_slot(std::span<const std::uint8_t, linkage_entry_bytes> code, Address at) {
  std::array<std::uint32_t, 3> words{};
  std::memcpy(words.data(), code.data(), sizeof words);
  const std::size_t begin = words[0] == 0xd503245fu ? 1 : 0;
  const std::uint32_t page = words[begin], load = words[begin + 1];
  if ((page & 0x9f00001fu) != 0x90000010u || (load & 0xffc003ffu) != 0xf9400211u) return std::nullopt;
  const std::uint32_t pages = (page >> 5u & 0x7ffffu) << 2u | (page >> 29u & 3u);
  const std::int64_t distance = std::int64_t{static_cast<std::int32_t>(pages << 11u) >> 11} * 4096;
  const std::uint64_t base = (at.value + begin * 4) & ~std::uint64_t{0xfff};
  return Address(base + static_cast<std::uint64_t>(distance) + (load >> 10u & 0xfffu) * std::uint64_t{8});
}

std::optional<CpuState> caller_of_leaf(const CpuState& state, StackWindow&) {
  const std::optional<std::uint64_t> link = state.get(cfi_return_address);
  if (!link) return std::nullopt;
  CpuState caller = state;
  caller.set_return(*link);
  return caller;
}

// The two words lie anywhere in the frame, but the caller's frame pointer is where it has saved its own two
// (AAPCS64, 6.4.6), and its tables tell that place by the stack pointer. Else nothing is taken to lie above
// them.
std::uint64_t callers_stack_pointer(const CfiRow* row, std::uint64_t frame, std::uint64_t next) {
  if (row != nullptr && !row->cfa_is_expression && row->cfa_register == cfi_sp &&
      row->rules[cfi_fp] == CfiRule::offset) {
    const std::uint64_t sp =
        next - static_cast<std::uint64_t>(row->values[cfi_fp]) - static_cast<std::uint64_t>(row->cfa_offset);
    if (sp >= frame + 16) return sp;
  }
  return frame + 16;
}

// mov x8, #139; svc #0
bool is_signal_return(std::span<const std::uint8_t> code) {
  constexpr std::array<std::uint32_t, 2> wanted = {0xd2801168u, 0xd4000001u};
  return code.size() >= sizeof wanted && std::memcmp(code.data(), wanted.data(), sizeof wanted) == 0;
}

// arch/arm64/kernel/signal.c, struct rt_sigframe: the stack pointer is at a siginfo of 128 bytes; in the
// ucontext behind it the machine's part begins at 176, with the fault's address before x0 to x30, sp and pc.
// The tables that kernels before 5.7 had for their trampoline give x30 for pc.
std::optional<CpuState> registers_of_signal_frame(const CpuState& state, StackWindow& stack) {
  constexpr std::uint64_t registers_offset = 128 + 176 + 8;
  CpuState caller = state;
  for (std::size_t i = 0; i < attach::register_count; ++i) {
    const Result<std::uint64_t> value = stack.read_word(state.sp() + registers_offset + i * 8);
    if (!value) return std::nullopt;
    caller.set(i, *value);
  }
  return caller;
}

}  // namespace pythreads::unwinder
