// What threads wait for and hold, as plain facts: objects that synchronize, and how each thread is bound to
// them. An object's facts stand once (PyRuntimeState::sync_objects); threads refer to it by address. What the
// facts mean (who owns what, who waits for whom) is for report/analysis to say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "attach/address.h"

namespace pythreads::pyframes {

enum class PySyncKind {
  lock,       // _thread.lock
  rlock,      // _thread.RLock
  condition,  // threading's classes, each with its subclasses
  event,
  semaphore,
  bounded_semaphore,
  barrier,
  thread,          // threading.Thread, or the ThreadHandle of one (3.13 on)
  queue,           // queue.Queue, LifoQueue, PriorityQueue
  simple_queue,    // _queue.SimpleQueue
  future,          // concurrent.futures.Future
  executor,        // concurrent.futures.ThreadPoolExecutor
  module_lock,     // importlib._bootstrap._ModuleLock
  sem_lock,        // _multiprocessing.SemLock
  buffered,        // _io.BufferedReader, Writer, Random: the lock inside of it
  event_loop,      // an asyncio loop
  c_object,        // any other C object with a lock inside: `type_name` says which
  pymutex,         // a PyMutex inside nothing that was recognised (3.13 on)
  object_mutex,    // an object's own mutex: a critical section (free-threaded)
  stop_the_world,  // free-threaded: the world's stop, requested by `owner_ident`
  stop_event,      // free-threaded: what who stops the world waits for; `owner_ident` has not stopped yet
};

// A fact that one kind alone has, for the document's `detail`: "unfinished", "parties", "state".
struct PySyncDetail {
  std::string name;
  std::variant<std::monostate, bool, std::int64_t, std::string> value;
};

struct PySyncObject {
  attach::Address address;  // of the Python object; of the word itself where there is none
  PySyncKind kind = PySyncKind::lock;
  std::string type_name;  // "threading.Condition", "zlib.Compress"; empty: not read
  std::string name;       // as a person would find it in the source, "bank.Account._lock"; empty: none found
  std::optional<bool> locked;  // none: it is no lock, or could not be read
  // What a field of the object itself says of its owner: pthread_self() of a thread (RLock, Buffered,
  // SemLock, _ModuleLock). None: there is no such field, or nobody owns it. Idents are used again.
  std::optional<std::uint64_t> owner_ident;
  bool owner_field = false;  // whether the kind has such a field
  std::optional<std::int64_t>
      count;  // RLock: how often taken; semaphore: value; queue: items; barrier: waiting
  std::optional<std::int64_t> capacity;  // BoundedSemaphore: initial value; Queue: maxsize, 0 for none;
                                         // Barrier: parties; executor: max_workers
  attach::Address lock;  // the lock inside (Condition._lock, Queue.mutex, Semaphore._cond._lock); null: none
  std::optional<std::uint64_t> thread_ident;  // of a `thread`: whose end is waited for
  std::optional<bool> finished;               // a thread has ended; a future is done
  attach::Address queue;  // of a future that is pending: the work queue its item lies in; of an executor: its
  attach::Address loop;   // of a future that an asyncio loop has to complete; null: none known
  std::string module;     // of a module_lock: the module that is being imported
  std::vector<PySyncDetail> detail;
};

// What a blocked thread was found to sleep on: the object whose word the kernel (or the parking lot) was
// asked to wait on.
struct PyLockWait {
  attach::Address object;  // PySyncObject::address
  attach::Address word;    // the futex word, or the parking lot's address
  std::string rule;        // stable word of how it was found: "semaphore-on-value-stack", "parking-lot", …
  std::string evidence;    // the same as a sentence
};

// A variable of a standard library's frame that says what the thread does there: the Condition that
// `threading.wait` waits on is its `self`. Which ones are noted is a table (frame_objects.cpp).
struct PyFrameObject {
  std::size_t frame = 0;  // index into PyThread::frames
  std::string variable;   // "self", "work_queue", "self.future"
  attach::Address object;
};

// How well the thread's own frames bear out that it holds something.
enum class PyHoldTrust {
  certain,   // an open `with` block on it, an active critical section
  inferred,  // inside a try whose finally releases it, a wrapper's open block, a suspended generator's
  likely,    // an acquire before the current place and no release after it
};

struct PyPlace {
  std::string file;
  int line = 0;  // 0: not known
  std::string function;
};

// What a thread holds by what its own frames say, whatever the object's owner field says. What is given back
// for a while (inside Condition.wait) or released inside its block is not listed.
struct PyHeldLock {
  attach::Address object;  // PySyncObject::address
  PyHoldTrust trust = PyHoldTrust::likely;
  bool permit = false;               // one of several: a semaphore's
  std::optional<std::size_t> frame;  // index into PyThread::frames; none: of a suspended generator or task
  PyPlace acquired;                  // the `with` or the acquire; line 0: not known
  std::string rule;                  // stable word: "with-block", "try-finally", …
  std::string evidence;              // the same as a sentence
};

// A call that stands after the current place of one of the thread's frames and would wake others: notify,
// set, put, release. Whether it would be reached is not known.
struct PyPendingCall {
  attach::Address object;  // PySyncObject::address
  std::string method;
  std::size_t frame = 0;  // index into PyThread::frames
  int line = 0;
};

// A frame that refers to a lock without any sign that it holds it.
struct PyMention {
  attach::Address object;  // PySyncObject::address
  std::size_t frame = 0;   // index into PyThread::frames
  std::string expression;  // "self._lock", "locks[2]"
};

}  // namespace pythreads::pyframes
