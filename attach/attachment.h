// A target from its pid to its release: prepare, hold, read on.
//
//   Result<Attachment> attachment = Attachment::prepare(pid);        // nothing is held: /proc, maps, modules
//   …find the runtime and its layout by attachment->target()…
//   Result<StopReport> stop = attachment->hold(options, [&](Target& held) { …prefetch, read words… });
//   …the target runs again; target().memory now answers from the pages that were read while held…
//
// What `read` will touch is found out before the stop: `rehearse` does the same over the running target,
// whose pages are then read all at once while it is held.
//
// `hold` seizes (PTRACE_SEIZE, never PTRACE_ATTACH: job control and pending signals stay as they were) and
// interrupts every thread until the thread list shows no new one, reads registers and copies the used part of
// each stack, and calls `read` while all of that stands still. A holder thread does nothing but ptrace and
// waiting, so that the pause budget holds even when `read` hangs in a page fault. Whatever happens (an early
// return, a signal that kills pythreads, a fault in a reader), the target goes on: the kernel detaches what a
// dead tracer held. A target that was stopped by SIGSTOP is read and stays stopped.
//
// While held: no open, no write to any descriptor, no log. `read` must do no more than read `Memory`.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "attach/result.h"
#include "attach/target.h"

namespace pythreads::attach {

struct HoldOptions {
  bool stop = true;  // false: --no-stop; `read` runs over the live target and facts may disagree
  // From the first interrupt to the last detach. What would take longer is given up: what is read, from the
  // last HeldPart on, then the stop of threads that wait for something outside the process.
  std::chrono::milliseconds pause_budget{250};
  // A thread that sleeps uninterruptibly and has not stopped by then is let go. One that only waits for a
  // processor will stop: for it half the pause budget is spent, if that is longer. At the most 0.6 of the
  // budget, or 20 ms.
  std::chrono::milliseconds stop_bound{200};
  std::uint64_t stack_bytes = 1024 * 1024;  // of each stack at the most, from the stack pointer up
  bool copy_stacks = true;
  bool count_switches = false;  // ThreadState::switches: a file more for each thread
};

class Attachment {
 public:
  // The threads are read by `hold`, each time anew. Opens /proc/PID once (everything else of the target is
  // opened under that descriptor, so neither pid reuse nor exec can switch it) and reads what can be known
  // without holding. ErrorCodes: no_such_process, zombie, not_permitted, already_traced (each cause told
  // apart in the message, with a hint that was checked).
  static Result<Attachment> prepare(pid_t pid);

  // Before a further `hold`: mappings, modules and process as they are now, and memory that is live again.
  // ErrorCode::process_ended: the process has ended, or executed another program, since it was prepared.
  Result<void> refresh();

  // May be called again (--samples): each call is a new stop with new pages.
  // `rehearse` may be empty: then each page is asked for while the target is held.
  Result<StopReport> hold(const HoldOptions& options, const std::function<void(Target&)>& read,
                          const std::function<void(Target&)>& rehearse = {});

  // ThreadState::switches as it is now, of a thread of the process that was prepared.
  void count_switches(ThreadState& thread) const;

  Target& target();
  const Target& target() const;

  Attachment(Attachment&&) noexcept;
  Attachment& operator=(Attachment&&) noexcept;
  ~Attachment();

 private:
  struct State;
  explicit Attachment(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The machine that we are on: for the `host` of the output.
Host read_host();

}  // namespace pythreads::attach
