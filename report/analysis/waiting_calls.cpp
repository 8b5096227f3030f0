#include "report/analysis/waiting_calls.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace pythreads::report {
namespace {

// A file descriptor's time limit (SO_RCVTIMEO, SO_SNDTIMEO) is not in the arguments.
constexpr TimeLimitAt unknowable{TimeLimit::unknowable, 0};
constexpr TimeLimitAt no_limit{TimeLimit::none, 0};
constexpr TimeLimitAt always{TimeLimit::always, 0};
constexpr TimeLimitAt pointer_at(unsigned argument) {
  return {TimeLimit::pointer, argument};
}
constexpr TimeLimitAt milliseconds_at(unsigned argument) {
  return {TimeLimit::milliseconds, argument};
}

constexpr WaitingCall futex_calls[] = {{SYS_futex, pointer_at(3)}};
constexpr WaitingCall read_calls[] = {{SYS_read, unknowable, 0},    {SYS_readv, unknowable, 0},
                                      {SYS_pread64, unknowable, 0}, {SYS_preadv, unknowable, 0},
                                      {SYS_preadv2, unknowable, 0}, {SYS_recvfrom, unknowable, 0},
                                      {SYS_recvmsg, unknowable, 0}, {SYS_recvmmsg, unknowable, 0},
                                      {SYS_getrandom, no_limit},    {SYS_mq_timedreceive, pointer_at(4), 0},
                                      {SYS_msgrcv, no_limit},       {SYS_io_getevents, pointer_at(4)}};
constexpr WaitingCall write_calls[] = {
    {SYS_write, unknowable, 0},           {SYS_writev, unknowable, 0},   {SYS_pwrite64, unknowable, 0},
    {SYS_pwritev, unknowable, 0},         {SYS_pwritev2, unknowable, 0}, {SYS_sendto, unknowable, 0},
    {SYS_sendmsg, unknowable, 0},         {SYS_sendmmsg, unknowable, 0}, {SYS_sendfile, unknowable, 0},
    {SYS_splice, unknowable, 0},          {SYS_fsync, no_limit, 0},      {SYS_fdatasync, no_limit, 0},
    {SYS_mq_timedsend, pointer_at(4), 0}, {SYS_msgsnd, no_limit}};
constexpr WaitingCall poll_calls[] = {
#ifdef SYS_poll
    {SYS_poll, milliseconds_at(2)},
    {SYS_select, pointer_at(4)},
    {SYS_epoll_wait, milliseconds_at(3), 0},
#endif
    {SYS_ppoll, pointer_at(2)},
    {SYS_pselect6, pointer_at(4)},
    {SYS_epoll_pwait, milliseconds_at(3), 0},
    {SYS_epoll_pwait2, pointer_at(3), 0},
};
constexpr WaitingCall sleep_calls[] = {{SYS_nanosleep, always}, {SYS_clock_nanosleep, always}};
constexpr WaitingCall accept_calls[] = {
#ifdef SYS_accept
    {SYS_accept, unknowable, 0},
#endif
    {SYS_accept4, unknowable, 0}};
constexpr WaitingCall connect_calls[] = {{SYS_connect, unknowable, 0}};
constexpr WaitingCall child_calls[] = {{SYS_wait4, no_limit},
                                       {SYS_waitid, no_limit},
#ifdef SYS_vfork
                                       {SYS_vfork, no_limit},
#endif
                                       {SYS_clone, no_limit},
                                       {SYS_clone3, no_limit}};
constexpr WaitingCall file_lock_calls[] = {{SYS_flock, no_limit, 0}, {SYS_fcntl, no_limit, 0}};
constexpr WaitingCall open_calls[] = {
#ifdef SYS_open
    {SYS_open, no_limit},
#endif
    {SYS_openat, no_limit},
    {SYS_openat2, no_limit}};
constexpr WaitingCall signal_calls[] = {
#ifdef SYS_pause
    {SYS_pause, no_limit},
#endif
    {SYS_rt_sigtimedwait, pointer_at(2)},
    {SYS_rt_sigsuspend, no_limit}};
constexpr WaitingCall semaphore_calls[] = {{SYS_semop, no_limit}, {SYS_semtimedop, pointer_at(3)}};

}  // namespace

std::span<const WaitingCall> calls_of(CallGroup group) {
  switch (group) {
    case CallGroup::any:
      return {};
    case CallGroup::futex:
      return futex_calls;
    case CallGroup::read:
      return read_calls;
    case CallGroup::write:
      return write_calls;
    case CallGroup::poll:
      return poll_calls;
    case CallGroup::sleep:
      return sleep_calls;
    case CallGroup::accept:
      return accept_calls;
    case CallGroup::connect:
      return connect_calls;
    case CallGroup::child:
      return child_calls;
    case CallGroup::file_lock:
      return file_lock_calls;
    case CallGroup::semaphore:
      return semaphore_calls;
    case CallGroup::open:
      return open_calls;
    case CallGroup::signal:
      return signal_calls;
  }
  return {};
}

const WaitingCall* find_call(CallGroup group, const attach::KernelWait* call) {
  if (call == nullptr) return nullptr;
  const std::span<const WaitingCall> calls = calls_of(group);
  const auto found = std::find_if(calls.begin(), calls.end(),
                                  [&](const WaitingCall& known) { return known.number == call->number; });
  return found == calls.end() ? nullptr : &*found;
}

std::optional<bool> has_time_limit(const WaitingCall& known, const attach::KernelWait& call) {
  const std::uint64_t argument = call.arguments[known.limit.argument];
  switch (known.limit.where) {
    case TimeLimit::unknowable:
      return std::nullopt;
    case TimeLimit::none:
      return false;
    case TimeLimit::always:
      return true;
    case TimeLimit::pointer:
      return argument != 0;
    case TimeLimit::milliseconds:
      return static_cast<std::int32_t>(argument) >= 0;
  }
  return std::nullopt;
}

// select(2) and pselect6 begin with the number of descriptors, poll(2) and ppoll have it second.
bool names_no_descriptors(const attach::KernelWait& call) {
  switch (call.number) {
#ifdef SYS_poll
    case SYS_select:
      return call.arguments[0] == 0;
    case SYS_poll:
      return call.arguments[1] == 0;
#endif
    case SYS_pselect6:
      return call.arguments[0] == 0;
    case SYS_ppoll:
      return call.arguments[1] == 0;
    default:
      return false;
  }
}

std::string syscall_name(long number) {
  struct Name {
    long number;
    std::string_view name;
  };
  static constexpr Name names[] = {{SYS_restart_syscall, "restart_syscall"},
                                   {SYS_ioctl, "ioctl"},
                                   {SYS_io_uring_enter, "io_uring_enter"},
                                   {SYS_futex, "futex"},
                                   {SYS_mmap, "mmap"},
                                   {SYS_munmap, "munmap"},
                                   {SYS_mprotect, "mprotect"},
                                   {SYS_madvise, "madvise"},
                                   {SYS_close, "close"},
                                   {SYS_execve, "execve"},
                                   {SYS_ptrace, "ptrace"},
                                   {SYS_exit, "exit"},
                                   {SYS_exit_group, "exit_group"},
                                   {SYS_getdents64, "getdents64"},
                                   {SYS_unlinkat, "unlinkat"}};
  const auto found = std::find_if(std::begin(names), std::end(names),
                                  [&](const Name& each) { return each.number == number; });
  return found == std::end(names) ? std::to_string(number) : std::string(found->name);
}

}  // namespace pythreads::report
