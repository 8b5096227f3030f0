#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <cerrno>
#include <cstring>

#include "attach/architecture.h"

namespace pythreads::attach {

std::optional<std::string> read_registers(pid_t tid, Registers& into) {
  user_regs_struct user{};
  iovec area{&user, sizeof user};
  if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &area) != 0) {
    return std::string("its registers could not be read: ") + std::strerror(errno);
  }
  if (area.iov_len != sizeof user) return "it runs 32-bit code";
  into.values = {user.rax, user.rdx, user.rcx, user.rbx, user.rsi, user.rdi, user.rbp, user.rsp, user.r8,
                 user.r9,  user.r10, user.r11, user.r12, user.r13, user.r14, user.r15, user.rip};
  into.entry_call = user.orig_rax;
  into.thread_pointer = user.fs_base;
  into.pthread_self = user.fs_base;
  return std::nullopt;
}

void set_pthread_self(Registers& registers, std::uint64_t) {
  registers.pthread_self = registers.thread_pointer;
}

// orig_rax is the call's number, all ones outside of a call; rax is its result.
std::optional<StoppedCall> stopped_call(const Registers& registers, Memory&) {
  const auto number = static_cast<std::int64_t>(registers.entry_call);
  if (number < 0) return std::nullopt;
  StoppedCall call;
  call.number = static_cast<long>(number);
  for (std::size_t i = 0; i < call.arguments.size(); ++i) call.arguments[i] = registers.argument(i);
  call.result = static_cast<std::int64_t>(registers.values[call_result_register]);
  return call;
}

// What restarts a call is the instruction before the program counter.
Range call_code(const Registers& registers) {
  return Range{registers.pc() - restart_code_bytes, restart_code_bytes};
}

// `mov $number, %eax; syscall` ends where the instruction pointer stands, or `xor`-free variants that don't
// tell the number.
std::optional<long> call_number_in_code(std::span<const std::byte> code) {
  if (code.size() < restart_code_bytes) return std::nullopt;
  code = code.last(restart_code_bytes);
  if (code[0] != std::byte{0xb8} || code[5] != std::byte{0x0f} || code[6] != std::byte{0x05})
    return std::nullopt;
  std::uint32_t number = 0;
  std::memcpy(&number, &code[1], sizeof number);
  return static_cast<long>(number);
}

}  // namespace pythreads::attach
