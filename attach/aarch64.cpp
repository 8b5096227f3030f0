#include <asm/ptrace.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

constexpr std::uint64_t instruction_bytes = 4;
constexpr std::uint32_t svc_0 = 0xd4000001;

// Not in the headers of older kernels (linux/elf.h, asm/ptrace.h).
constexpr int note_tls = 0x401;
constexpr int note_pac_mask = 0x406;
struct PacMask {
  std::uint64_t data = 0, instruction = 0;
};

template <typename Area>
bool read_area(pid_t tid, int note, Area& into) {
  iovec area{&into, sizeof into};
  return ::ptrace(static_cast<__ptrace_request>(PTRACE_GETREGSET), tid, note, &area) == 0 &&
         area.iov_len >= sizeof into;
}

}  // namespace

std::optional<std::string> read_registers(pid_t tid, Registers& into) {
  user_pt_regs user{};
  iovec area{&user, sizeof user};
  if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &area) != 0) {
    return std::string("its registers could not be read: ") + std::strerror(errno);
  }
  if (area.iov_len != sizeof user) return "it runs 32-bit code";
  for (std::size_t i = 0; i <= link_register; ++i) into.values[i] = user.regs[i];
  into.values[stack_pointer_register] = user.sp;
  into.values[pc_register] = user.pc;
  // With SME the set has a second register, which may not fit.
  std::uint64_t thread_pointer = 0;
  if (!read_area(tid, note_tls, thread_pointer)) {
    return std::string("its thread pointer could not be read: ") + std::strerror(errno);
  }
  into.thread_pointer = thread_pointer;
  // EINVAL where the processor has no pointer authentication.
  PacMask mask;
  if (read_area(tid, note_pac_mask, mask)) into.signed_bits = mask.instruction;
  return std::nullopt;
}

void set_pthread_self(Registers& registers, std::uint64_t pthread_bytes) {
  registers.pthread_self = pthread_bytes == 0 || pthread_bytes > registers.thread_pointer
                               ? 0
                               : registers.thread_pointer - pthread_bytes;
}

// Registers have no note of the call. At a stop of a call that goes on afterwards the kernel has put the
// first argument back and the program counter on the svc instruction, before ptrace sees either; which of its
// restart codes it was is gone (arch/arm64/kernel/signal.c, do_signal, at v6.12). A thread that stands there
// and has not made the call yet is about to. A call that has come to its end, -EINTR or a short count, has
// overwritten its first argument, and the instruction is the one before.
std::optional<StoppedCall> stopped_call(const Registers& registers, Memory& memory) {
  constexpr std::int64_t restarts = -512;
  std::array<std::uint32_t, 2> code{};
  if (registers.pc().value % instruction_bytes != 0 || registers.pc().value < instruction_bytes) {
    return std::nullopt;
  }
  const Address before = registers.pc() - instruction_bytes;
  if (!memory.read(before, std::as_writable_bytes(std::span(code)))) return std::nullopt;
  const bool at_call = code[1] == svc_0;
  if (!at_call && code[0] != svc_0) return std::nullopt;
  StoppedCall call;
  call.number = static_cast<long>(static_cast<std::uint32_t>(registers.values[call_number_register]));
  for (std::size_t i = 0; i < call.arguments.size(); ++i) call.arguments[i] = registers.argument(i);
  call.first_argument_lost = !at_call;
  call.result = at_call ? restarts : static_cast<std::int64_t>(registers.values[call_result_register]);
  return call;
}

Range call_code(const Registers& registers) {
  const std::uint64_t before = std::min<std::uint64_t>(registers.pc().value, restart_code_bytes);
  return Range{registers.pc() - before, before + instruction_bytes};
}

// The last `mov x8, number` (movz, 16 bits) before the call.
std::optional<long> call_number_in_code(std::span<const std::byte> code) {
  constexpr std::uint32_t movz_x8 = 0xd2800008;  // with the number in bits 5 to 20
  constexpr std::uint32_t movz_w8 = 0x52800008;
  constexpr std::uint32_t without_number = 0xffe0001f;
  for (std::size_t end = code.size(); end >= instruction_bytes; end -= instruction_bytes) {
    std::uint32_t instruction = 0;
    std::memcpy(&instruction, &code[end - instruction_bytes], sizeof instruction);
    const std::uint32_t kind = instruction & without_number;
    if (kind == movz_x8 || kind == movz_w8) return static_cast<long>(instruction >> 5 & 0xffffu);
  }
  return std::nullopt;
}

}  // namespace pythreads::attach
