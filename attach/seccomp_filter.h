// What a seccomp filter answers to one system call. A filter is a classic BPF program over `struct
// seccomp_data`: it only jumps forward and has at most 4,096 instructions, so a run ends; it is a program of
// the target's all the same, so anything that the kernel would have refused to load is undetermined here.
//
// The number and the architecture are known; the arguments and the instruction pointer are not. Where a
// decision rests on those, the answer is undetermined, never a guess.
//
// Numbers are those of the machine that we are compiled for. linux/seccomp.h, linux/filter.h;
// kernel/seccomp.c (seccomp_check_filter, seccomp_run_filters) and net/core/filter.c (bpf_convert_filter) at
// v6.1.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <span>

namespace pythreads::attach {

// The 32 bits that the program returns (SECCOMP_RET_*: an action and its data).
using FilterAnswer = std::optional<std::uint32_t>;
FilterAnswer run_filter(std::span<const sock_filter> program, std::uint32_t syscall_number);

// The strictest of two answers, as the kernel combines a thread's filters. A call that one filter denies is
// denied whatever an undetermined one would say; one that is allowed so far and undetermined is undetermined.
FilterAnswer combine(FilterAnswer one, FilterAnswer other);

// The call is made: SECCOMP_RET_ALLOW or SECCOMP_RET_LOG. A tracer or a supervisor that is asked
// (SECCOMP_RET_TRACE, SECCOMP_RET_USER_NOTIF) may say no, or not be there.
bool lets_pass(std::uint32_t answer);

}  // namespace pythreads::attach
