// The machine that this is compiled for, which is the target's as well: its registers by their DWARF numbers,
// how ptrace gives them, what they say of a system call at a stop, and what the C library keeps where. All
// else is written for every machine. One header and one source file for each: x86_64.h, aarch64.h.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "attach/address.h"
#include "attach/memory.h"

#if defined(__x86_64__)
#include "attach/x86_64.h"
#elif defined(__aarch64__)
#include "attach/aarch64.h"
#else
#error "only x86-64 and aarch64 are known: each needs a header and a source file like attach/x86_64"
#endif

namespace pythreads::attach {

// The general registers of a thread that was held.
struct Registers {
  std::array<std::uint64_t, register_count> values{};  // by their DWARF numbers, with sp and pc
  std::uint64_t entry_call = ~std::uint64_t{0};        // x86-64: orig_rax; all ones: not in a system call
  std::uint64_t thread_pointer = 0;                    // x86-64: fs_base; aarch64: tpidr_el0
  // pthread_self(), which is CPython's ident; 0: not known. On x86-64 the thread pointer; elsewhere that is
  // the end of the C library's struct, whose size must be known (`set_pthread_self`).
  std::uint64_t pthread_self = 0;
  std::uint64_t signed_bits =
      0;  // aarch64: where a return address has its signature (pointer authentication)

  Address pc() const { return Address(values[pc_register]); }
  Address sp() const { return Address(values[stack_pointer_register]); }
  std::uint64_t argument(std::size_t index) const { return values[call_argument_registers[index]]; }
};

// Of a tracee that is stopped. The text says why there are none.
std::optional<std::string> read_registers(pid_t tid, Registers& into);

// `pthread_bytes`: sizeof(struct pthread); 0: not known.
void set_pthread_self(Registers& registers, std::uint64_t pthread_bytes);

// The system call that a stopped thread's registers show.
struct StoppedCall {
  long number = -1;
  std::array<std::uint64_t, 6> arguments{};
  bool first_argument_lost = false;  // the result has overwritten it
  std::int64_t result = 0;           // -512 to -516: it goes on after the stop. Else what it will return
};

// Where the registers don't show it alone, the instruction at the program counter is read from `memory`.
// Nothing: the thread is in no call.
std::optional<StoppedCall> stopped_call(const Registers& registers, Memory& memory);

// What stopped_call and resolve_restart read of the code, to be fetched with that of all others.
Range call_code(const Registers& registers);

// The number that the code before a system call instruction sets; `code` is what stands right before the
// program counter (restart_code_bytes of it, or less).
std::optional<long> call_number_in_code(std::span<const std::byte> code);

}  // namespace pythreads::attach
