// What a thread waits for: a table of rules, first match wins, the last row is `unknown`. A row names the
// facts that it needs, where its resource is found, and the sentence that justifies it; that sentence is what
// --explain prints. Rules interpret facts that were read, they never read: a better rule can be run over a
// kept snapshot.
//
// To add a kind of wait, add a row in wait_rules_table.cpp above the more general ones, and a scenario that
// fires it.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "report/analysis/findings.h"
#include "report/analysis/joined_threads.h"
#include "report/analysis/waiting_calls.h"

namespace pythreads::report {

// Facts of CPython and of the native side that a row may need besides the system call.
enum class WaitFact {
  any,
  gil,              // the word it sleeps on is one of the GIL's
  slept_on,         // it was found to sleep on an object of the row's kind
  reacquired,       // … which is the lock of the Condition that it is inside the wait of
  native_mutex,     // the word is a pthread_mutex_t's that another thread has
  native_function,  // one of the row's native functions is among its innermost frames
  asleep,           // the kernel says it sleeps, and where could not be read
  stopped,          // by a job control signal
  no_descriptors,   // its select or poll names no descriptor: that is a sleep
};

// A Python function by its module's name, as found on the stack.
struct PythonFunction {
  std::string_view module;
  std::string_view name;
};

// Where the resource of a wait is found.
enum class ResourceAt {
  none,
  slept_on,      // the object that it sleeps on
  variable,      // the variable that was noted of the `function`-th frame
  native_mutex,  // the mutex around the word
  native_rwlock,
  word,  // the futex word itself
};

inline constexpr std::size_t most_functions = 4;

struct WaitRule {
  std::string_view rule;  // stable word
  WaitFact fact = WaitFact::any;
  pyframes::PySyncKind kind_of_object = pyframes::PySyncKind::lock;  // of slept_on
  CallGroup calls = CallGroup::any;
  std::array<PythonFunction, most_functions> functions{};  // innermost first, from the innermost frame on
  std::span<const std::string_view> native{};              // of native_function
  std::string_view kind;
  Status status = Status::blocked;
  ResourceAt resource = ResourceAt::none;
  std::size_t function = 0;
  std::string_view variable = "self";
  Certainty certainty = Certainty::certain;
  bool polls = false;  // the call is one turn of a loop, and its time limit none of the wait's
  std::string_view sentence;
};

std::span<const WaitRule> wait_rules();

// What a thread does, before anything is known of owners. `wait` has no resource yet: wait_graph makes it of
// `object`, or of the native lock.
struct Classification {
  Status status = Status::running;
  std::optional<Wait> wait;
  const WaitRule* rule = nullptr;
  attach::Address object;                // of the resource; null: it has none
  std::vector<attach::Address> pending;  // more of them: the futures of one wait
};

Classification classify(const JoinedThread& thread);

// The thread's frames as rules and sentences see them: trampolines left out; innermost first.
std::vector<std::size_t> shown_frames(const pyframes::PyThread& thread);

}  // namespace pythreads::report
