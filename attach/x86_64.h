// x86-64, as architecture.h wants it said. Register numbers: System V psABI for x86-64, figure 3.36.
#pragma once

#include <elf.h>
#include <linux/audit.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pythreads::attach {

inline constexpr std::string_view architecture_name = "x86-64";
inline constexpr std::uint16_t elf_machine = EM_X86_64;
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_X86_64;

inline constexpr std::size_t register_count = 17;
inline constexpr std::size_t frame_pointer_register = 6;  // rbp
inline constexpr std::size_t stack_pointer_register = 7;  // rsp
inline constexpr std::size_t pc_register = 16;            // rip
inline constexpr std::size_t return_address_column = 16;  // of the unwind tables
inline constexpr std::size_t call_result_register = 0;    // rax
inline constexpr std::array<std::size_t, 6> call_argument_registers = {5,  4, 1,
                                                                       10, 8, 9};  // rdi rsi rdx r10 r8 r9

inline constexpr std::uint64_t red_zone = 128;             // psABI, 3.2.2
inline constexpr std::uint64_t lowest_non_user_bits = 47;  // a user address has none from here on
inline constexpr bool call_is_told_by_code = false;
inline constexpr std::size_t restart_code_bytes = 7;  // mov $number, %eax; syscall

// glibc's tcbhead_t begins with `tcb` and has `self` at 16, both the struct's own address; struct pthread has
// `tid` at 720. The same from glibc 2.31 to 2.43.
inline constexpr bool pthread_self_needs_size = false;
inline constexpr bool pthread_points_to_itself = true;
inline constexpr std::uint64_t pthread_tid_offset = 720;
inline constexpr int pthread_mutex_bytes = 40;  // bits/pthreadtypes-arch.h

}  // namespace pythreads::attach
