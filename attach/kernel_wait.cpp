#include "attach/kernel_wait.h"

#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

namespace pythreads::attach {
namespace {

// Not in the kernel's user headers (include/linux/errno.h).
constexpr std::int64_t restart_codes[] = {-512, -513, -514, -516, -EINTR};

// Where a call keeps how much it was asked to move, if less than that is an answer that a stop can cause.
enum class Asked {
  nothing,
  third,
  third_if_waitall,
  third_unless_one,
  iovec,
  iovec_of_message,
  iovec_if_waitall,
  fourth
};

struct DisturbedCall {
  long number;
  std::string_view name;
  Asked asked;
};

// The calls that a stop without any signal can cut short, as tests/attach/disturbed_test.cpp finds them on
// the running kernel. EINTR needs no row to be seen: the result says it. The row gives the name.
constexpr DisturbedCall disturbed_calls[] = {
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", Asked::nothing},
#endif
    {SYS_epoll_pwait, "epoll_pwait", Asked::nothing},
    {441, "epoll_pwait2", Asked::nothing},
    {SYS_semop, "semop", Asked::nothing},
    {SYS_semtimedop, "semtimedop", Asked::nothing},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait", Asked::nothing},
    {SYS_io_getevents, "io_getevents", Asked::nothing},
    {SYS_io_pgetevents, "io_pgetevents", Asked::nothing},
    {SYS_io_uring_enter, "io_uring_enter", Asked::nothing},
    {SYS_accept, "accept", Asked::nothing},
    {SYS_accept4, "accept4", Asked::nothing},
    {SYS_connect, "connect", Asked::nothing},
    {SYS_read, "read", Asked::nothing},
    {SYS_readv, "readv", Asked::nothing},
    {SYS_recvfrom, "recvfrom", Asked::third_if_waitall},
    {SYS_recvmsg, "recvmsg", Asked::iovec_if_waitall},
    {SYS_recvmmsg, "recvmmsg", Asked::third_unless_one},
    {SYS_write, "write", Asked::third},
    {SYS_writev, "writev", Asked::iovec},
    {SYS_sendto, "sendto", Asked::third},
    {SYS_sendmsg, "sendmsg", Asked::iovec_of_message},
    {SYS_sendmmsg, "sendmmsg", Asked::third},
    {SYS_sendfile, "sendfile", Asked::fourth},
    {SYS_splice, "splice", Asked::nothing},
    {SYS_vmsplice, "vmsplice", Asked::nothing},
    {SYS_getrandom, "getrandom", Asked::nothing},
    {SYS_pwrite64, "pwrite64", Asked::third},
    {SYS_pwritev, "pwritev", Asked::iovec},
};

const DisturbedCall* find_call(long number) {
  const auto* found = std::find_if(std::begin(disturbed_calls), std::end(disturbed_calls),
                                   [number](const DisturbedCall& call) { return call.number == number; });
  return found == std::end(disturbed_calls) ? nullptr : found;
}

// The sum of the lengths; nothing when they can't be read.
std::optional<std::uint64_t> iovec_bytes(Memory& memory, Address at, std::uint64_t count) {
  if (count > 1024) return std::nullopt;  // UIO_MAXIOV
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Result<std::uint64_t> length = memory.read_value<std::uint64_t>(at + 16 * i + 8);
    if (!length) return std::nullopt;
    sum += *length;
  }
  return sum;
}

std::optional<std::uint64_t> message_bytes(Memory& memory, Address message) {
  const Result<Address> at = memory.read_address(message + offsetof(msghdr, msg_iov));
  const Result<std::uint64_t> count =
      memory.read_value<std::uint64_t>(message + offsetof(msghdr, msg_iovlen));
  if (!at || !count) return std::nullopt;
  return iovec_bytes(memory, *at, *count);
}

std::optional<std::uint64_t> asked_for(const DisturbedCall& call,
                                       const std::array<std::uint64_t, 6>& arguments, Memory& memory) {
  switch (call.asked) {
    case Asked::nothing:
      return std::nullopt;
    case Asked::third:
      return arguments[2];
    case Asked::third_if_waitall:
      if ((arguments[3] & MSG_WAITALL) == 0) return std::nullopt;
      return arguments[2];
    case Asked::third_unless_one:
      if ((arguments[3] & MSG_WAITFORONE) != 0) return std::nullopt;
      return arguments[2];
    case Asked::iovec:
      return iovec_bytes(memory, Address(arguments[1]), arguments[2]);
    case Asked::iovec_of_message:
      return message_bytes(memory, Address(arguments[1]));
    case Asked::iovec_if_waitall:
      if ((arguments[2] & MSG_WAITALL) == 0) return std::nullopt;
      return message_bytes(memory, Address(arguments[1]));
    case Asked::fourth:
      return arguments[3];
  }
  return std::nullopt;
}

constexpr long futex_wait_number = 455;  // since 6.7, not in older headers

// The calls that set a restart block (-516): SYS_restart_syscall stands for one of these and no other.
struct RestartedCall {
  long number;
  std::string_view name;
  std::string_view wait_channel;  // a part of it
};
constexpr RestartedCall restarted_calls[] = {
    {SYS_futex, "futex", "futex"},
    {futex_wait_number, "futex_wait", "futex"},
#ifdef SYS_poll
    {SYS_poll, "poll", "poll"},
#endif
    {SYS_clock_nanosleep, "clock_nanosleep", "nanosleep"},
    {SYS_nanosleep, "nanosleep", "nanosleep"},
};

// False: it is not known, and so the call isn't.
bool recover_first_argument(StoppedCall& call, const std::optional<KernelWait>& before) {
  if (!call.first_argument_lost) return true;
  if (!before || before->number != call.number ||
      !std::equal(call.arguments.begin() + 1, call.arguments.end(), before->arguments.begin() + 1))
    return false;
  call.arguments[0] = before->arguments[0];
  call.first_argument_lost = false;
  return true;
}

}  // namespace

std::optional<KernelWait> wait_from_registers(const Registers& registers,
                                              const std::optional<KernelWait>& before, Memory& memory,
                                              const std::optional<Disturbance>& disturbance) {
  std::optional<StoppedCall> call = stopped_call(registers, memory);
  if (!call) return std::nullopt;
  const bool interrupted =
      std::find(std::begin(restart_codes), std::end(restart_codes), call->result) != std::end(restart_codes);
  if (!interrupted && !disturbance) return std::nullopt;
  if (!recover_first_argument(*call, before)) return std::nullopt;
  KernelWait wait;
  wait.number = call->number;
  wait.arguments = call->arguments;
  wait.restart_code = interrupted ? static_cast<int>(call->result) : 0;
  return wait;
}

bool waits_outside(const ThreadState& thread) {
  return thread.state == 'S' && thread.kernel_wait && thread.kernel_wait->number != SYS_futex &&
         thread.kernel_wait->number != SYS_futex_waitv;
}

void resolve_restart(KernelWait& wait, std::string_view wait_channel, std::span<const std::byte> code) {
  if (wait.number != SYS_restart_syscall) return;
  wait.restarted = true;
  const std::optional<long> coded = call_number_in_code(code);
  const auto* by_code = std::find_if(std::begin(restarted_calls), std::end(restarted_calls),
                                     [&](const RestartedCall& call) { return coded == call.number; });
  if (by_code != std::end(restarted_calls)) {
    wait.number = by_code->number;
    return;
  }
  const auto* by_channel =
      std::find_if(std::begin(restarted_calls), std::end(restarted_calls), [&](const RestartedCall& call) {
        return wait_channel.find(call.wait_channel) != std::string_view::npos;
      });
  if (by_channel == std::end(restarted_calls)) return;
  wait.number = by_channel->number;
  // nanosleep(pointer, pointer), clock_nanosleep(clock, flags, pointer, pointer): no pointer is so small.
  if (wait.number == SYS_clock_nanosleep && wait.arguments[0] >= 4096) wait.number = SYS_nanosleep;
}

bool goes_on_by_restart(const KernelWait& wait) {
  switch (wait.number) {
    case SYS_restart_syscall:
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_nanosleep:
      return true;
    case SYS_clock_nanosleep:
      return (wait.arguments[1] & TIMER_ABSTIME) == 0;
    case SYS_futex: {
      const auto operation =
          static_cast<std::uint32_t>(wait.arguments[1]) & static_cast<std::uint32_t>(FUTEX_CMD_MASK);
      return (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) && wait.arguments[3] != 0;
    }
    case futex_wait_number:
      return wait.arguments[4] != 0;
    default:
      return false;
  }
}

std::string_view restarted_call_name(long number) {
  const auto* found = std::find_if(std::begin(restarted_calls), std::end(restarted_calls),
                                   [number](const RestartedCall& call) { return call.number == number; });
  return found == std::end(restarted_calls) ? std::string_view{} : found->name;
}

std::optional<Disturbance> find_disturbance(pid_t tid, const Registers& registers,
                                            const std::optional<KernelWait>& before, Memory& memory) {
  std::optional<StoppedCall> stopped = stopped_call(registers, memory);
  if (!stopped) return std::nullopt;
  const DisturbedCall* call = find_call(stopped->number);
  if (stopped->result == -EINTR) {
    return Disturbance{
        tid, call == nullptr ? "syscall " + std::to_string(stopped->number) : std::string(call->name),
        "EINTR"};
  }
  if (stopped->result <= 0 || call == nullptr || !before || before->number != stopped->number)
    return std::nullopt;
  if (!recover_first_argument(*stopped, before) || before->arguments[0] != stopped->arguments[0] ||
      before->arguments[1] != stopped->arguments[1])
    return std::nullopt;
  const std::optional<std::uint64_t> asked = asked_for(*call, stopped->arguments, memory);
  if (!asked || static_cast<std::uint64_t>(stopped->result) >= *asked) return std::nullopt;
  return Disturbance{tid, std::string(call->name), "short"};
}

std::string_view disturbed_call_name(long number) {
  const DisturbedCall* call = find_call(number);
  return call == nullptr ? std::string_view{} : call->name;
}

}  // namespace pythreads::attach
