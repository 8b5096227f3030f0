// aarch64, as architecture.h wants it said. Register numbers: DWARF for the Arm 64-bit Architecture
// (AADWARF64), section 4.1; the stack: AAPCS64, section 6.4.5.
#pragma once

#include <elf.h>
#include <linux/audit.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pythreads::attach {

inline constexpr std::string_view architecture_name = "aarch64";
inline constexpr std::uint16_t elf_machine = EM_AARCH64;
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_AARCH64;

inline constexpr std::size_t register_count = 33;
inline constexpr std::size_t frame_pointer_register = 29;
inline constexpr std::size_t link_register = 30;
inline constexpr std::size_t stack_pointer_register = 31;
inline constexpr std::size_t pc_register = 32;
inline constexpr std::size_t return_address_column = link_register;  // of the unwind tables
inline constexpr std::size_t call_number_register = 8;
inline constexpr std::size_t call_result_register = 0;
inline constexpr std::array<std::size_t, 6> call_argument_registers = {0, 1, 2, 3, 4, 5};

inline constexpr std::uint64_t red_zone = 0;
inline constexpr std::uint64_t lowest_non_user_bits =
    48;  // 52-bit addresses must be asked for, by mmap's hint
inline constexpr bool call_is_told_by_code = true;
inline constexpr std::size_t restart_code_bytes = 32;  // what may stand between `mov x8, number` and `svc 0`

// struct pthread lies before the thread pointer and begins with 24 words of padding and a list link; `tid`
// follows. The same from glibc 2.31 to 2.43 (nptl/descr.h, TLS_DTV_AT_TP).
inline constexpr bool pthread_self_needs_size = true;
inline constexpr bool pthread_points_to_itself = false;
inline constexpr std::uint64_t pthread_tid_offset = 208;
inline constexpr int pthread_mutex_bytes = 48;  // bits/pthreadtypes-arch.h

}  // namespace pythreads::attach
