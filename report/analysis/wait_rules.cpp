#include "report/analysis/wait_rules.h"

#include <sys/syscall.h>

#include <algorithm>
#include <array>

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

// Arguments as in the manual page of each call, section 2; numbers of the machine that we are compiled for.
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

// The standard library's own frames, innermost first (Lib/threading.py, Lib/queue.py, Lib/concurrent/futures,
// Lib/importlib/_bootstrap.py at v3.8 to v3.15). What they wait on is a lock that they made for one wait, so
// the lock itself says nothing.
constexpr PythonFunction event_wait[] = {{"threading", "wait"}, {"threading", "wait"}};
constexpr PythonFunction idle_worker[] = {{"concurrent.futures.thread", "_worker"}};
constexpr PythonFunction queue_get[] = {{"threading", "wait"}, {"queue", "get"}};
constexpr PythonFunction queue_put[] = {{"threading", "wait"}, {"queue", "put"}};
constexpr PythonFunction queue_join[] = {{"threading", "wait"}, {"queue", "join"}};
constexpr PythonFunction semaphore_acquire[] = {{"threading", "wait"}, {"threading", "acquire"}};
constexpr PythonFunction barrier_wait[] = {
    {"threading", "wait"}, {"threading", "wait_for"}, {"threading", "_wait"}};
constexpr PythonFunction future_result[] = {{"threading", "wait"}, {"concurrent.futures._base", "result"}};
constexpr PythonFunction future_exception[] = {{"threading", "wait"},
                                               {"concurrent.futures._base", "exception"}};
constexpr PythonFunction futures_wait[] = {
    {"threading", "wait"}, {"threading", "wait"}, {"concurrent.futures._base", "wait"}};
constexpr PythonFunction futures_as_completed[] = {
    {"threading", "wait"}, {"threading", "wait"}, {"concurrent.futures._base", "as_completed"}};
constexpr PythonFunction condition_wait[] = {{"threading", "wait"}};
constexpr PythonFunction join_by_tstate_lock[] = {{"threading", "_wait_for_tstate_lock"},
                                                  {"threading", "join"}};
constexpr PythonFunction join_by_handle[] = {{"threading", "join"}};
constexpr PythonFunction shutdown_by_tstate_lock[] = {{"threading", "_wait_for_tstate_lock"},
                                                      {"threading", "_shutdown"}};
constexpr PythonFunction shutdown[] = {{"threading", "_shutdown"}};
constexpr PythonFunction import_lock[] = {{"importlib._bootstrap", "acquire"}};
constexpr PythonFunction import_lock_frozen[] = {{"_frozen_importlib", "acquire"}};

constexpr std::string_view notifier_unknown =
    "it is inside threading.Condition.wait, called by the standard library's function of this kind; who will "
    "notify it is recorded nowhere";

using enum WaitFact;

constexpr std::array rules{
    WaitRule{"gil-word",
             gil,
             {},
             {},
             "gil",
             Status::blocked,
             Certainty::certain,
             "it sleeps on one of the GIL's own words"},
    WaitRule{"idle-worker-simple-queue", any, futex_calls, idle_worker, "idle", Status::idle,
             Certainty::certain, "a pool's worker sleeps in the get of its work queue"},
    WaitRule{"idle-worker-simple-queue",
             lock,
             {},
             idle_worker,
             "idle",
             Status::idle,
             Certainty::certain,
             "a pool's worker sleeps in the get of its work queue"},
    WaitRule{"futures-wait",
             lock,
             {},
             futures_wait,
             "future",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"futures-as-completed",
             lock,
             {},
             futures_as_completed,
             "future",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"barrier-wait",
             lock,
             {},
             barrier_wait,
             "barrier",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{
        "event-wait", lock, {}, event_wait, "event", Status::waiting, Certainty::certain, notifier_unknown},
    WaitRule{
        "queue-get", lock, {}, queue_get, "queue-get", Status::waiting, Certainty::certain, notifier_unknown},
    WaitRule{
        "queue-put", lock, {}, queue_put, "queue-put", Status::blocked, Certainty::certain, notifier_unknown},
    WaitRule{"queue-join",
             lock,
             {},
             queue_join,
             "queue-join",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"semaphore-acquire",
             lock,
             {},
             semaphore_acquire,
             "semaphore",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"future-result",
             lock,
             {},
             future_result,
             "future",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"future-exception",
             lock,
             {},
             future_exception,
             "future",
             Status::blocked,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"condition-wait",
             lock,
             {},
             condition_wait,
             "condition",
             Status::waiting,
             Certainty::certain,
             notifier_unknown},
    WaitRule{"thread-shutdown", any, futex_calls, shutdown_by_tstate_lock, "shutdown", Status::blocked,
             Certainty::certain, "the main thread waits in threading._shutdown for the others to end"},
    WaitRule{"thread-shutdown", any, futex_calls, shutdown, "shutdown", Status::blocked, Certainty::certain,
             "the main thread waits in threading._shutdown for the others to end"},
    WaitRule{"thread-join", any, futex_calls, join_by_tstate_lock, "join", Status::blocked,
             Certainty::certain, "it sleeps inside threading.Thread.join"},
    WaitRule{"thread-join", any, futex_calls, join_by_handle, "join", Status::blocked, Certainty::certain,
             "it sleeps inside threading.Thread.join"},
    WaitRule{"import-lock", any, futex_calls, import_lock, "import", Status::blocked, Certainty::certain,
             "it sleeps inside the acquire of a module's import lock"},
    WaitRule{"import-lock", any, futex_calls, import_lock_frozen, "import", Status::blocked,
             Certainty::certain, "it sleeps inside the acquire of a module's import lock"},
    WaitRule{"rlock-word",
             rlock,
             {},
             {},
             "rlock",
             Status::blocked,
             Certainty::certain,
             "what it sleeps on belongs to this RLock"},
    WaitRule{"lock-word",
             lock,
             {},
             {},
             "lock",
             Status::blocked,
             Certainty::certain,
             "what it sleeps on belongs to this Lock"},
    WaitRule{"futex-call",
             any,
             futex_calls,
             {},
             "futex",
             Status::blocked,
             Certainty::certain,
             "it sleeps in futex, on a word that belongs to nothing that was recognised"},
    WaitRule{"read-call",
             any,
             read_calls,
             {},
             "read",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that reads"},
    WaitRule{"write-call",
             any,
             write_calls,
             {},
             "write",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that writes"},
    WaitRule{"sleep-without-descriptors",
             no_descriptors,
             poll_calls,
             {},
             "sleep",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that waits for descriptors, and it names none: time.sleep up "
             "to 3.10"},
    WaitRule{"poll-call",
             any,
             poll_calls,
             {},
             "poll",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that waits for descriptors"},
    WaitRule{"sleep-call",
             any,
             sleep_calls,
             {},
             "sleep",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that waits for a time"},
    WaitRule{"accept-call",
             any,
             accept_calls,
             {},
             "accept",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside accept"},
    WaitRule{"connect-call",
             any,
             connect_calls,
             {},
             "connect",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside connect"},
    WaitRule{"child-call",
             any,
             child_calls,
             {},
             "child",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that waits for a child process"},
    WaitRule{"file-lock-call",
             any,
             file_lock_calls,
             {},
             "file-lock",
             Status::blocked,
             Certainty::certain,
             "the kernel has it inside a call that waits for a file's lock"},
    WaitRule{"semaphore-call",
             any,
             semaphore_calls,
             {},
             "semaphore",
             Status::blocked,
             Certainty::certain,
             "the kernel has it inside a call that waits for a System V semaphore"},
    WaitRule{"open-call",
             any,
             open_calls,
             {},
             "open",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside open: of a FIFO, or of a file system that does not answer"},
    WaitRule{"signal-call",
             any,
             signal_calls,
             {},
             "signal",
             Status::waiting,
             Certainty::certain,
             "the kernel has it inside a call that waits for a signal"},
    WaitRule{"job-control-stop",
             stopped,
             {},
             {},
             "signal",
             Status::waiting,
             Certainty::certain,
             "the kernel says that it is stopped: it goes on at SIGCONT"},
    WaitRule{"unknown",
             asleep,
             {},
             {},
             "unknown",
             Status::waiting,
             Certainty::possible,
             "the kernel says that it sleeps; in what could not be told"},
};

// What the table is asked about, computed once for a thread.
struct Facts {
  const attach::KernelWait* call = nullptr;
  const pyframes::PyThread* python = nullptr;
  const pyframes::PySyncObject* slept_on = nullptr;
  bool asleep = false, stopped = false;
};

Facts facts_of(const JoinedThread& thread) {
  Facts facts;
  facts.python = thread.python;
  facts.slept_on = thread.slept_on();
  if (thread.os == nullptr) return facts;
  const attach::ThreadState& os = thread.os->os;
  facts.stopped = os.state == 'T';
  // Registers win over the state that /proc gave before the stop: a thread that was held outside any call
  // ran.
  const bool ran = os.registers.has_value() && !os.kernel_wait.has_value();
  if (os.kernel_wait.has_value()) facts.call = &*os.kernel_wait;
  facts.asleep = os.kernel_wait.has_value() || (!ran && (os.state == 'S' || os.state == 'D'));
  return facts;
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

const WaitingCall* find_call(std::span<const WaitingCall> calls, const attach::KernelWait* call) {
  if (call == nullptr) return nullptr;
  const auto found = std::find_if(calls.begin(), calls.end(),
                                  [&](const WaitingCall& known) { return known.number == call->number; });
  return found == calls.end() ? nullptr : &*found;
}

bool has_fact(WaitFact fact, const Facts& facts) {
  switch (fact) {
    case WaitFact::any:
      return true;
    case WaitFact::gil:
      return facts.python != nullptr && facts.python->waits_for_gil;
    case WaitFact::lock:
      return facts.slept_on != nullptr && facts.slept_on->kind == pyframes::PySyncKind::lock;
    case WaitFact::rlock:
      return facts.slept_on != nullptr && facts.slept_on->kind == pyframes::PySyncKind::rlock;
    case WaitFact::asleep:
      return facts.asleep;
    case WaitFact::stopped:
      return facts.stopped;
    case WaitFact::no_descriptors:
      return facts.call != nullptr && names_no_descriptors(*facts.call);
  }
  return false;
}

bool stands_on(std::span<const PythonFunction> functions, const pyframes::PyThread* python) {
  if (functions.empty()) return true;
  if (python == nullptr) return false;
  auto expected = functions.begin();
  for (const pyframes::PyFrame& frame : python->frames) {
    if (frame.trampoline) continue;
    if (frame.module_name != expected->module || frame.function != expected->name) return false;
    if (++expected == functions.end()) return true;
  }
  return false;
}

std::optional<bool> timeout_of(const WaitingCall& known, const attach::KernelWait& call) {
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

Wait wait_by(const WaitRule& rule, const Facts& facts) {
  Wait wait;
  wait.kind = rule.kind;
  wait.certainty = rule.certainty;
  wait.evidence = {std::string(rule.rule), std::string(rule.sentence)};
  // A lock is waited for in futex, whatever the row names: the time limit is the same argument.
  const std::span<const WaitingCall> calls = rule.calls.empty() ? std::span(futex_calls) : rule.calls;
  if (const WaitingCall* known = find_call(calls, facts.call)) {
    wait.timeout = timeout_of(*known, *facts.call);
    if (known->descriptor_argument >= 0) {
      wait.descriptor =
          static_cast<int>(facts.call->arguments[static_cast<std::size_t>(known->descriptor_argument)]);
    }
  }
  if (rule.fact == WaitFact::gil) {
    wait.timeout =
        false;  // its futex calls have a time limit, its loop has none (take_gil, Python/ceval_gil.c)
    if (!facts.python->gil_evidence.empty()) wait.evidence.text = facts.python->gil_evidence;
  } else if ((rule.fact == WaitFact::lock || rule.fact == WaitFact::rlock) && rule.functions.empty()) {
    const pyframes::PyLockWait& found = *facts.python->lock_wait;
    if (!found.rule.empty()) wait.evidence.rule = found.rule;
    if (!found.evidence.empty()) wait.evidence.text = found.evidence;
  } else if (rule.fact == WaitFact::asleep && facts.call != nullptr) {
    wait.evidence.text += ": system call " + syscall_name(facts.call->number);
  }
  return wait;
}

}  // namespace

std::span<const WaitRule> wait_rules() {
  return rules;
}

Classification classify(const JoinedThread& thread) {
  if (thread.os == nullptr) return {Status::waiting, std::nullopt};
  if (thread.os->os.state == 'Z' || thread.os->os.state == 'X') return {Status::idle, std::nullopt};
  const Facts facts = facts_of(thread);
  for (const WaitRule& rule : rules) {
    if (!has_fact(rule.fact, facts)) continue;
    if (!rule.calls.empty() && find_call(rule.calls, facts.call) == nullptr) continue;
    if (!stands_on(rule.functions, facts.python)) continue;
    return {rule.status, wait_by(rule, facts)};
  }
  return {Status::running, std::nullopt};
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
