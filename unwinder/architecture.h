// What a walk must know of the machine: which registers a call keeps, where a call leaves its return address,
// what a call and a return from a signal look like as code. The rest of the walk is the same on every
// machine. x86_64.cpp and aarch64.cpp; register numbers are those of attach/architecture.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "attach/architecture.h"
#include "unwinder/cpu_state.h"
#include "unwinder/stack_window.h"

namespace pythreads::unwinder {

// A function keeps its caller's value in these.
bool is_callee_saved(std::size_t number);

// Whether a return address may be left in its register: aarch64 calls put it into x30, and a function that
// calls nothing need not save it. On x86-64 it is always on the stack.
bool may_return_by_register();

// Instructions of unwind tables, and letters of their augmentation, that say only that a return address is
// signed: `signed_bits` are taken from each anyway.
bool is_about_signing(std::uint8_t instruction);
bool is_about_signing(char augmentation);

// Whether a call instruction ends right after `code`, which is the `longest_call` bytes before an address.
inline constexpr std::size_t longest_call = 8;
bool ends_with_call(std::span<const std::uint8_t, longest_call> code);

// Where the call leads that ends right before `at`; none where a register or a word of memory tells.
std::optional<attach::Address> called_directly(std::span<const std::uint8_t, longest_call> code,
                                               attach::Address at);

// Where an entry of a procedure linkage table, `code` that stands at `at`, keeps the address that it jumps
// to; none if it is no such entry, or none that is known.
inline constexpr std::size_t linkage_entry_bytes = 16;
std::optional<attach::Address> linkage_slot(std::span<const std::uint8_t, linkage_entry_bytes> code,
                                            attach::Address at);

// Where a function returns to that has built no frame and called nothing; all registers are still its
// caller's.
std::optional<CpuState> caller_of_leaf(const CpuState& state, StackWindow& stack);

// The stack pointer in the caller of a function whose frame pointer was `frame`, where two words are saved:
// the caller's frame pointer `next` and the return address. `row`: the caller's, if its tables are known.
std::uint64_t callers_stack_pointer(const CfiRow* row, std::uint64_t frame, std::uint64_t next);

// Whether `code`, which stands at an address, is what a signal handler returns to.
inline constexpr std::size_t signal_return_bytes = 9;
bool is_signal_return(std::span<const std::uint8_t> code);

// What was interrupted: the registers in the frame that the kernel built for the handler.
std::optional<CpuState> registers_of_signal_frame(const CpuState& state, StackWindow& stack);

}  // namespace pythreads::unwinder
