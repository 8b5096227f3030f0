// The rows. The standard library's frames are those of Lib/threading.py, Lib/queue.py,
// Lib/concurrent/futures, Lib/importlib/_bootstrap.py, Lib/asyncio at v3.8 to v3.15.
#include "report/analysis/wait_rules.h"

namespace pythreads::report {
namespace {

using enum WaitFact;
using pyframes::PySyncKind;

constexpr std::string_view notifier_unknown =
    "it is inside threading.Condition.wait, called by the standard library's function of this kind; who will "
    "notify it is recorded nowhere";
constexpr std::string_view reacquires =
    "it is inside threading.Condition.wait and was notified: it takes the Condition's lock again";
constexpr std::string_view inside_join = "it sleeps inside threading.Thread.join";
constexpr std::string_view at_exit = "the main thread waits in threading._shutdown for the others to end";
constexpr std::string_view idle_worker = "a pool's worker sleeps in the get of its work queue";
constexpr std::string_view import_lock = "it sleeps inside the acquire of a module's import lock";

constexpr PythonFunction waits{"threading", "wait"};
constexpr PythonFunction waits_for{"threading", "wait_for"};
constexpr PythonFunction worker{"concurrent.futures.thread", "_worker"};

constexpr std::string_view rwlock_functions[] = {"pthread_rwlock_rdlock",      "pthread_rwlock_wrlock",
                                                 "pthread_rwlock_timedrdlock", "pthread_rwlock_timedwrlock",
                                                 "pthread_rwlock_clockrdlock", "pthread_rwlock_clockwrlock"};
constexpr std::string_view condition_functions[] = {"pthread_cond_wait", "pthread_cond_timedwait",
                                                    "pthread_cond_clockwait"};
// Also of glibc's own locks, which keep no owner: a stdio stream's, an arena's (nptl/lowlevellock.c).
constexpr std::string_view mutex_functions[] = {"pthread_mutex_lock",
                                                "pthread_mutex_timedlock",
                                                "pthread_mutex_clocklock",
                                                "__lll_lock_wait",
                                                "__lll_lock_wait_private",
                                                "pthread_mutex_lock_full",
                                                "flockfile",
                                                "_IO_flockfile"};

// A wait inside Condition.wait: a lock that was made for it alone says nothing, the frames do.
constexpr WaitRule composite(std::string_view rule, std::array<PythonFunction, most_functions> functions,
                             std::string_view kind, Status status, std::size_t function,
                             std::string_view variable = "self") {
  return {.rule = rule,
          .fact = slept_on,
          .functions = functions,
          .kind = kind,
          .status = status,
          .resource = ResourceAt::variable,
          .function = function,
          .variable = variable,
          .sentence = notifier_unknown};
}

// A sleep in a futex, told by the standard library's frames.
constexpr WaitRule by_frames(std::string_view rule, std::array<PythonFunction, most_functions> functions,
                             std::string_view kind, Status status, std::size_t function,
                             std::string_view variable, std::string_view sentence) {
  return {.rule = rule,
          .calls = CallGroup::futex,
          .functions = functions,
          .kind = kind,
          .status = status,
          .resource = ResourceAt::variable,
          .function = function,
          .variable = variable,
          .sentence = sentence};
}

// A sleep on an object that was found by its address.
constexpr WaitRule by_object(std::string_view rule, PySyncKind object, std::string_view kind, Status status,
                             std::string_view sentence) {
  return {.rule = rule,
          .fact = slept_on,
          .kind_of_object = object,
          .kind = kind,
          .status = status,
          .resource = ResourceAt::slept_on,
          .sentence = sentence};
}

constexpr WaitRule by_call(std::string_view rule, CallGroup calls, std::string_view kind, Status status,
                           std::string_view sentence) {
  return {.rule = rule, .calls = calls, .kind = kind, .status = status, .sentence = sentence};
}

// A queue of concurrent.interpreters: its loop sleeps 10 ms in each turn
// (Lib/concurrent/interpreters/_queues.py at v3.14.0).
constexpr WaitRule between_interpreters(std::string_view rule, std::string_view function,
                                        std::string_view kind, Status status, std::string_view sentence) {
  return {.rule = rule,
          .calls = CallGroup::sleep,
          .functions = {{{"concurrent.interpreters._queues", function}}},
          .kind = kind,
          .status = status,
          .polls = true,
          .sentence = sentence};
}

constexpr std::array rules{
    WaitRule{.rule = "gil-word",
             .fact = gil,
             .kind = "gil",
             .sentence = "it sleeps on one of the GIL's own words"},
    WaitRule{
        .rule = "native-mutex",
        .fact = native_mutex,
        .calls = CallGroup::futex,
        .kind = "native-mutex",
        .resource = ResourceAt::native_mutex,
        .sentence = "the word that it sleeps on is a locked pthread_mutex_t, whose owner stands beside it"},
    by_object("sem-lock-word", PySyncKind::sem_lock, "sem-lock", Status::blocked,
              "what it sleeps on is the semaphore of this lock between processes"),
    by_object("stream-lock", PySyncKind::buffered, "io-lock", Status::blocked,
              "what it sleeps on is the lock inside of this stream"),
    by_object("c-object-lock", PySyncKind::c_object, "c-lock", Status::blocked,
              "what it sleeps on is a field of this C object"),
    by_object("mutex-word", PySyncKind::pymutex, "c-lock", Status::blocked,
              "it is parked on a mutex that lies in no object that was recognised"),

    by_object("stop-the-world", PySyncKind::stop_the_world, "stop-the-world", Status::blocked,
              "it is parked until the world that another thread stopped goes on"),
    by_object("stopping-the-world", PySyncKind::stop_event, "stop-the-world", Status::blocked,
              "it stops the world, and waits for the threads that have not stopped yet"),
    by_object("critical-section", PySyncKind::object_mutex, "critical-section", Status::blocked,
              "it is parked on an object's own mutex, which a critical section takes"),
    WaitRule{.rule = "condition-reacquire",
             .fact = reacquired,
             .kind_of_object = PySyncKind::rlock,
             .kind = "rlock",
             .resource = ResourceAt::slept_on,
             .sentence = reacquires},
    WaitRule{.rule = "condition-reacquire",
             .fact = reacquired,
             .kind_of_object = PySyncKind::lock,
             .kind = "lock",
             .resource = ResourceAt::slept_on,
             .sentence = reacquires},

    by_frames("idle-worker", {worker}, "idle", Status::idle, 0, "work_queue", idle_worker),
    by_frames("idle-worker", {waits, {"queue", "get"}, worker}, "idle", Status::idle, 2, "work_queue",
              idle_worker),
    by_frames("idle-worker-of-pool", {waits, {"queue", "get"}, {"multiprocessing.pool", "worker"}}, "idle",
              Status::idle, 1, "self", idle_worker),
    WaitRule{.rule = "idle-worker-of-pool",
             .fact = slept_on,
             .kind_of_object = PySyncKind::simple_queue,
             .functions = {{{"multiprocessing.pool", "worker"}}},
             .kind = "idle",
             .status = Status::idle,
             .resource = ResourceAt::slept_on,
             .sentence = idle_worker},

    composite("futures-wait", {waits, waits, {"concurrent.futures._base", "wait"}}, "future", Status::blocked,
              2, "pending"),
    composite("futures-as-completed", {waits, waits, {"concurrent.futures._base", "as_completed"}}, "future",
              Status::blocked, 2, "pending"),
    composite("barrier-wait", {waits, waits_for, {"threading", "_wait"}}, "barrier", Status::blocked, 2),
    composite("barrier-enter", {waits, {"threading", "_enter"}}, "barrier", Status::blocked, 1),
    composite("event-wait", {waits, waits}, "event", Status::waiting, 1),
    composite("queue-get", {waits, {"queue", "get"}}, "queue-get", Status::waiting, 1),
    composite("queue-put", {waits, {"queue", "put"}}, "queue-put", Status::blocked, 1),
    composite("queue-join", {waits, {"queue", "join"}}, "queue-join", Status::blocked, 1),
    composite("semaphore-acquire", {waits, {"threading", "acquire"}}, "semaphore", Status::blocked, 1),
    composite("future-result", {waits, {"concurrent.futures._base", "result"}}, "future", Status::blocked, 1),
    composite("future-exception", {waits, {"concurrent.futures._base", "exception"}}, "future",
              Status::blocked, 1),
    composite("condition-wait-for", {waits, waits_for}, "condition", Status::waiting, 1),
    composite("condition-wait", {waits}, "condition", Status::waiting, 0),

    by_frames("thread-shutdown", {{{"threading", "_wait_for_tstate_lock"}, {"threading", "_shutdown"}}},
              "shutdown", Status::blocked, 0, "self", at_exit),
    by_frames("thread-shutdown",
              {{{"threading", "_wait_for_tstate_lock"}, {"threading", "join"}, {"threading", "_shutdown"}}},
              "shutdown", Status::blocked, 1, "self", at_exit),
    by_frames("thread-shutdown", {{{"threading", "join"}, {"threading", "_shutdown"}}}, "shutdown",
              Status::blocked, 0, "self", at_exit),
    WaitRule{.rule = "thread-shutdown",
             .calls = CallGroup::futex,
             .functions = {{{"threading", "_shutdown"}}},
             .kind = "shutdown",
             .resource = ResourceAt::slept_on,
             .sentence = at_exit},
    by_frames("thread-join", {{{"threading", "_wait_for_tstate_lock"}, {"threading", "join"}}}, "join",
              Status::blocked, 1, "self", inside_join),
    by_frames("thread-join", {{{"threading", "join"}}}, "join", Status::blocked, 0, "self", inside_join),
    by_frames("import-lock", {{{"importlib._bootstrap", "acquire"}}}, "import", Status::blocked, 0, "self",
              import_lock),
    by_frames("import-lock", {{{"_frozen_importlib", "acquire"}}}, "import", Status::blocked, 0, "self",
              import_lock),

    by_object("rlock-word", PySyncKind::rlock, "rlock", Status::blocked,
              "what it sleeps on belongs to this RLock"),
    by_object("lock-word", PySyncKind::lock, "lock", Status::blocked,
              "what it sleeps on belongs to this Lock"),
    by_object("simple-queue-word", PySyncKind::simple_queue, "queue-get", Status::waiting,
              "what it sleeps on belongs to this SimpleQueue, which is empty"),
    by_object("thread-handle", PySyncKind::thread, "handle", Status::blocked,
              "it waits for the end of a thread by its handle"),
    // Before the locks of objects: a mutex may lie inside of one, as in a buffer of ctypes.
    WaitRule{.rule = "native-rwlock",
             .fact = native_function,
             .calls = CallGroup::futex,
             .native = rwlock_functions,
             .kind = "native-rwlock",
             .resource = ResourceAt::native_rwlock,
             .sentence = "it sleeps inside one of pthread_rwlock's functions"},
    WaitRule{.rule = "native-condition",
             .fact = native_function,
             .calls = CallGroup::futex,
             .native = condition_functions,
             .kind = "native-condition",
             .status = Status::waiting,
             .resource = ResourceAt::word,
             .sentence = "it sleeps inside pthread_cond_wait; who will signal it is recorded nowhere"},
    WaitRule{.rule = "native-mutex-function",
             .fact = native_function,
             .calls = CallGroup::futex,
             .native = mutex_functions,
             .kind = "native-mutex",
             .resource = ResourceAt::word,
             .sentence = "it sleeps inside pthread_mutex_lock, on words that do not tell an owner"},
    by_call("futex-call", CallGroup::futex, "futex", Status::blocked,
            "it sleeps in futex, on a word that belongs to nothing that was recognised"),

    WaitRule{.rule = "event-loop",
             .calls = CallGroup::poll,
             .functions = {{{"selectors", "select"}, {"asyncio.base_events", "_run_once"}}},
             .kind = "loop",
             .status = Status::idle,
             .resource = ResourceAt::variable,
             .function = 2,
             .sentence = "an asyncio loop has nothing ready: it sleeps in its selector"},
    by_call("read-call", CallGroup::read, "read", Status::waiting,
            "the kernel has it inside a call that reads"),
    by_call("write-call", CallGroup::write, "write", Status::waiting,
            "the kernel has it inside a call that writes"),
    WaitRule{.rule = "sleep-without-descriptors",
             .fact = no_descriptors,
             .calls = CallGroup::poll,
             .kind = "sleep",
             .status = Status::waiting,
             .sentence = "the kernel has it inside a call that waits for descriptors, and it names none: "
                         "time.sleep up to 3.10"},
    by_call("poll-call", CallGroup::poll, "poll", Status::waiting,
            "the kernel has it inside a call that waits for descriptors"),
    between_interpreters(
        "interpreter-queue-get", "get", "queue-get", Status::waiting,
        "it is inside the get of a queue between interpreters, which looks each 10 ms for an item"),
    between_interpreters(
        "interpreter-queue-put", "put", "queue-put", Status::blocked,
        "it is inside the put of a queue between interpreters, which looks each 10 ms for room"),
    by_call("sleep-call", CallGroup::sleep, "sleep", Status::waiting,
            "the kernel has it inside a call that waits for a time"),
    by_call("accept-call", CallGroup::accept, "accept", Status::waiting, "the kernel has it inside accept"),
    by_call("connect-call", CallGroup::connect, "connect", Status::waiting,
            "the kernel has it inside connect"),
    by_call("child-call", CallGroup::child, "child", Status::waiting,
            "the kernel has it inside a call that waits for a child process"),
    by_call("file-lock-call", CallGroup::file_lock, "file-lock", Status::blocked,
            "the kernel has it inside a call that waits for a file's lock"),
    by_call("semaphore-call", CallGroup::semaphore, "semaphore", Status::blocked,
            "the kernel has it inside a call that waits for a System V semaphore"),
    by_call("open-call", CallGroup::open, "open", Status::waiting,
            "the kernel has it inside open: of a FIFO, or of a file system that does not answer"),
    by_call("signal-call", CallGroup::signal, "signal", Status::waiting,
            "the kernel has it inside a call that waits for a signal"),
    WaitRule{.rule = "job-control-stop",
             .fact = stopped,
             .kind = "signal",
             .status = Status::waiting,
             .sentence = "the kernel says that it is stopped: it goes on at SIGCONT"},
    WaitRule{.rule = "unknown",
             .fact = asleep,
             .kind = "unknown",
             .status = Status::waiting,
             .certainty = Certainty::possible,
             .sentence = "the kernel says that it sleeps; in what could not be told"},
};

}  // namespace

std::span<const WaitRule> wait_rules() {
  return rules;
}

}  // namespace pythreads::report
