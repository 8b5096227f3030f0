// What a thread waits for: a table of rules, first match wins, the last row is `unknown`. A row names the
// facts that it needs and the sentence that justifies it; that sentence is what --explain prints. Rules
// interpret facts that were read, they never read: a better rule can be run over a kept snapshot.
//
// To add a kind of wait, add a row in wait_rules.cpp above the more general ones, and a test that fires it.
#pragma once

#include <span>
#include <string_view>

#include "report/analysis/findings.h"
#include "report/analysis/joined_threads.h"

namespace pythreads::report {

// Facts of CPython that a row may need besides the system call.
enum class WaitFact {
  any,
  gil,             // the word it sleeps on is one of the GIL's
  lock,            // it was found to sleep on a threading.Lock
  rlock,           // … on a threading.RLock
  asleep,          // the kernel says it sleeps, and where could not be read
  stopped,         // by a job control signal
  no_descriptors,  // its select or poll names no descriptor: that is a sleep
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

// A system call by its number, with what its arguments mean to us.
struct WaitingCall {
  long number = -1;
  TimeLimitAt limit;
  int descriptor_argument = -1;  // -1: it has none
};

// A Python function by its module's name, as found on the stack.
struct PythonFunction {
  std::string_view module;
  std::string_view name;
};

struct WaitRule {
  std::string_view rule;  // stable word
  WaitFact fact = WaitFact::any;
  std::span<const WaitingCall> calls;         // empty: any, or none
  std::span<const PythonFunction> functions;  // innermost first, from the innermost frame on; empty: any
  std::string_view kind;
  Status status = Status::waiting;
  Certainty certainty = Certainty::certain;
  std::string_view sentence;
};

std::span<const WaitRule> wait_rules();

// What a thread does, before anything is known of owners. `wait` has no resource yet: wait_graph finds it.
struct Classification {
  Status status = Status::running;
  std::optional<Wait> wait;
};

Classification classify(const JoinedThread& thread);

// For the evidence and for messages: "futex", or its number.
std::string syscall_name(long number);

}  // namespace pythreads::report
