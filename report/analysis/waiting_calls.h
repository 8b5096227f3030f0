// The system calls that threads wait in, by what they wait for, and what their arguments mean to us: the file
// descriptor and the time limit. Numbers are those of the machine that we are compiled for; arguments as in
// the manual page of each call, section 2.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "attach/thread_state.h"

namespace pythreads::report {

enum class CallGroup {
  any,  // also none at all
  futex,
  read,
  write,
  poll,
  sleep,
  accept,
  connect,
  child,
  file_lock,
  semaphore,  // System V
  open,
  signal,
};

// Where a system call keeps its time limit.
enum class TimeLimit {
  unknowable,    // a property of the descriptor, or not looked at
  none,          // it has none
  always,        // it is a wait for a time
  pointer,       // an argument points to it; null: none
  milliseconds,  // an argument is an int; negative: none
};

struct TimeLimitAt {
  TimeLimit where = TimeLimit::unknowable;
  unsigned argument = 0;
};

struct WaitingCall {
  long number = -1;
  TimeLimitAt limit;
  int descriptor_argument = -1;  // -1: it has none
};

std::span<const WaitingCall> calls_of(CallGroup group);

// Null: the call is not one of the group, or there is none.
const WaitingCall* find_call(CallGroup group, const attach::KernelWait* call);

// Whether the call ends by itself at some time; none: that can't be told by its arguments.
std::optional<bool> has_time_limit(const WaitingCall& known, const attach::KernelWait& call);

// A select or poll that names no descriptor is a sleep.
bool names_no_descriptors(const attach::KernelWait& call);

// For the evidence and for messages: "futex", or its number.
std::string syscall_name(long number);

}  // namespace pythreads::report
