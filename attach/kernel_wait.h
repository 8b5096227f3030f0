// In which system call a held thread was, by its registers, and what the stop did to that call.
//
// A stop makes a sleeping call return to the kernel's exit path. There its result is either a restart code
// (-512 to -516: the call goes on afterwards, nobody notices), or what the call will really return: -EINTR,
// or a count shorter than was asked for. The latter can't be mended without writing registers, so it is told:
// `StopReport::disturbed`. How registers show it is the machine's (architecture.h).
//
// After a restart code of -516 (poll, relative nanosleep, timed futex) the thread goes on in restart_syscall
// with the argument registers unchanged; which call that restarts is told by the wait channel, or by the
// instruction before the system call that sets its number.
//
// include/linux/errno.h, arch/x86/kernel/signal.c (arch_do_signal_or_restart) and kernel/signal.c at v6.1;
// signal(7), "Interruption of system calls and library functions by stop signals".
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "attach/memory.h"
#include "attach/target.h"
#include "attach/thread_state.h"

namespace pythreads::attach {

// Nothing: the thread was not in a system call that its registers still show. What the stop cut short still
// was one (`disturbance`, of find_disturbance): the thread slept in it until it was stopped. `before` is what
// /proc said before the stop: it has the argument that a result has overwritten.
std::optional<KernelWait> wait_from_registers(const Registers& registers,
                                              const std::optional<KernelWait>& before, Memory& memory,
                                              const std::optional<Disturbance>& disturbance = {});

// Whether it sleeps in a call, on something that is no word of the process's, as its files tell. A thread in
// a page fault or in a futex call is not meant.
bool waits_outside(const ThreadState& thread);

// Replaces SYS_restart_syscall by the call that is restarted, and sets `restarted`; where neither the wait
// channel nor the code tells, it stays. `code` is what stands right before the program counter.
void resolve_restart(KernelWait& wait, std::string_view wait_channel, std::span<const std::byte> code);

// Whether the thread, stopped where it sleeps now, would go on by restart_syscall: it is in poll, a relative
// nanosleep, a futex wait with a timeout, or in restart_syscall already.
bool goes_on_by_restart(const KernelWait& wait);

// "poll"; empty for a call that is not restarted so.
std::string_view restarted_call_name(long number);

// What the stop did to the call. `before` is what /proc said before the stop: a short count is put down to
// the stop only where the thread was seen to sleep in that very call. `memory` is asked for the lengths that
// writev and recvmsg have in memory.
std::optional<Disturbance> find_disturbance(pid_t tid, const Registers& registers,
                                            const std::optional<KernelWait>& before, Memory& memory);

// "epoll_wait"; empty for a number that the tables here don't need.
std::string_view disturbed_call_name(long number);

}  // namespace pythreads::attach
