// A Snapshot in a few lines, for the tests of analysis and renderers: no process, no file.
//
//   SnapshotBuilder bank(4711);
//   bank.thread(4712, "transfer-1")
//       .frame("/srv/bank.py", 21, "transfer")
//       .waits_for(rlock(0x7f0010, ident_of(4713)))
//       .holds(rlock(0x7f0020), 0, 20);
//   Snapshot snapshot = bank.build();
//
// A thread starts as held, asleep in nothing, and known to CPython with the ident 0x7f0000000000 + tid *
// 0x1000.
#pragma once

#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "report/snapshot.h"

namespace pythreads::tests {

inline std::uint64_t ident_of(pid_t tid) {
  return 0x7f0000000000U + static_cast<std::uint64_t>(tid) * 0x1000U;
}

// A lock object that somebody holds.
inline pyframes::PySyncObject rlock(std::uint64_t object, std::optional<pid_t> owner = std::nullopt) {
  pyframes::PySyncObject lock;
  lock.kind = pyframes::PySyncKind::rlock;
  lock.address = attach::Address(object);
  lock.type_name = "_thread.RLock";
  lock.locked = true;
  lock.owner_field = true;
  if (owner) lock.owner_ident = ident_of(*owner);
  lock.count = 1;
  return lock;
}

inline pyframes::PySyncObject lock(std::uint64_t object) {
  pyframes::PySyncObject lock;
  lock.kind = pyframes::PySyncKind::lock;
  lock.address = attach::Address(object);
  lock.type_name = "_thread.lock";
  lock.locked = true;
  return lock;
}

// Any other object of its kind.
inline pyframes::PySyncObject sync_object(pyframes::PySyncKind kind, std::uint64_t address) {
  pyframes::PySyncObject object;
  object.kind = kind;
  object.address = attach::Address(address);
  return object;
}

class SnapshotBuilder;

// Speaks of one thread of a builder by its index, for the builder's vectors grow.
class ThreadBuilder {
 public:
  ThreadBuilder(SnapshotBuilder& builder, std::size_t os, std::optional<std::size_t> python)
      : builder_(builder), os_(os), python_(python) {}

  report::SnapshotThread& os();
  pyframes::PyThread& python();

  // Frames are given innermost first.
  ThreadBuilder& frame(std::string file, int line, std::string function, std::string module = "__main__",
                       bool entry = false) {
    pyframes::PyFrame frame;
    frame.function = function;
    frame.qualified_name = std::move(function);
    frame.module_name = std::move(module);
    frame.file = std::move(file);
    frame.line = line;
    frame.entry = entry;
    frame.address = attach::Address(0x600000 + python().frames.size() * 0x100);
    python().frames.push_back(std::move(frame));
    return *this;
  }
  ThreadBuilder& native(std::string function, std::string module = "/usr/lib/libpython3.11.so.1.0") {
    unwinder::NativeFrame frame;
    frame.pc = attach::Address(0x500000 + os().native.frames.size() * 0x10);
    frame.function = std::move(function);
    frame.module = std::move(module);
    frame.symbol_offset = 0x1d;
    frame.module_offset = 0x4001d;
    os().native.frames.push_back(std::move(frame));
    os().native.end = unwinder::StackEnd::root;
    os().native_walked = true;
    return *this;
  }
  ThreadBuilder& sleeps_in(long syscall, std::uint64_t first = 0, std::uint64_t second = 0,
                           std::uint64_t third = 0, std::uint64_t fourth = 0, std::uint64_t fifth = 0) {
    attach::KernelWait wait;
    wait.number = syscall;
    wait.arguments = {first, second, third, fourth, fifth, 0};
    os().os.kernel_wait = wait;
    os().os.state = 'S';
    return *this;
  }
  // `limit` is the address of the time limit; 0: none.
  ThreadBuilder& waits_for(const pyframes::PySyncObject& object, std::uint64_t limit = 0);
  ThreadBuilder& holds(const pyframes::PySyncObject& object, std::optional<std::size_t> frame = std::nullopt,
                       int line = 0, pyframes::PyHoldTrust trust = pyframes::PyHoldTrust::certain);
  // A variable of one of its frames that says what it does there.
  ThreadBuilder& notes(std::size_t frame, std::string variable, const pyframes::PySyncObject& object);
  // A call behind the current place of one of its frames that would wake others.
  ThreadBuilder& would_call(const pyframes::PySyncObject& object, std::string method, std::size_t frame = 0) {
    python().pending_calls.push_back({object.address, std::move(method), frame, 0});
    return *this;
  }
  // The frame that was given last began in the middle of the next one.
  ThreadBuilder& began_as(pyframes::PyTrigger trigger) {
    python().frames.back().trigger = trigger;
    return *this;
  }
  // Asleep in Condition.wait, called by these functions of the standard library, innermost first; `self` of
  // the last of them is the object, and its own frame follows. `limit` as in waits_for.
  ThreadBuilder& waits_inside(std::initializer_list<std::pair<const char*, const char*>> functions,
                              const pyframes::PySyncObject& object, std::uint64_t limit = 0,
                              std::string variable = "self");
  ThreadBuilder& ends_in(double milliseconds) {
    os().os.futex.emplace().ends_in_ms = milliseconds;
    return *this;
  }
  // Asleep on a pthread_mutex_t of this owner.
  ThreadBuilder& waits_for_mutex(std::uint64_t address, pid_t owner);
  ThreadBuilder& runs() {
    os().os.state = 'R';
    os().os.kernel_wait.reset();
    return *this;
  }
  ThreadBuilder& waits_for_gil();
  ThreadBuilder& holds_gil();
  ThreadBuilder& not_held() {
    os().os.outcome = attach::StopOutcome::unstoppable;
    os().os.registers.reset();
    return *this;
  }

 private:
  SnapshotBuilder& builder_;
  std::size_t os_;
  std::optional<std::size_t> python_;
};

class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(pid_t pid) {
    using std::chrono::milliseconds;
    using std::chrono::system_clock;
    attach::Process& process = snapshot_.process;
    process.pid = pid;
    process.parent_pid = 1;
    process.namespace_pids = {pid};
    process.start_ticks = 123456;
    process.started_at = system_clock::time_point(milliseconds(1767323000000));
    process.command = {"python3", "/srv/bank.py"};
    process.executable = "/usr/bin/python3.11";
    process.working_directory = "/srv";
    process.uid = 1000;
    process.cgroup = "/system.slice/bank.service";
    process.state = 'S';
    pyframes::PyRuntimeState& runtime = snapshot_.runtime;
    runtime.version = {3, 11, 2, 0x030b02f0};
    runtime.library = "/usr/bin/python3.11";
    runtime.address = attach::Address(0x900000);
    pyframes::PyInterpreter interpreter;
    interpreter.main = true;
    interpreter.address = attach::Address(0x910000);
    interpreter.gil.emplace().address = attach::Address(0x920000);
    interpreter.gc_collecting = false;
    runtime.interpreters.push_back(std::move(interpreter));
    snapshot_.captured_at = system_clock::time_point(milliseconds(1767323045678));
    snapshot_.pause_ms = 2.125;
  }

  ThreadBuilder thread(pid_t tid, std::string name) {
    pyframes::PyThread python;
    python.tstate = attach::Address(0xa00000 + static_cast<std::uint64_t>(tid) * 0x1000U);
    python.ident = ident_of(tid);
    python.tid = tid;
    python.name = name;
    python.daemon = false;
    python.main = tid == snapshot_.process.pid;
    python.recursion_depth = 1;
    interpreter().threads.push_back(std::move(python));
    native_thread(tid, name.substr(0, 15));
    return {*this, snapshot_.threads.size() - 1, interpreter().threads.size() - 1};
  }

  ThreadBuilder native_thread(pid_t tid, std::string os_name) {
    report::SnapshotThread thread;
    thread.os.tid = thread.os.namespace_tid = tid;
    thread.os.os_name = std::move(os_name);
    thread.os.state = 'S';
    thread.os.cpu_ms = 12;
    thread.os.switches = 3;
    thread.os.outcome = attach::StopOutcome::held;
    thread.os.registers.emplace().pthread_self = ident_of(tid);
    snapshot_.threads.push_back(std::move(thread));
    return {*this, snapshot_.threads.size() - 1, std::nullopt};
  }

  // Each object stands once; what was said of it last is so.
  void knows(const pyframes::PySyncObject& object) {
    std::vector<pyframes::PySyncObject>& objects = snapshot_.runtime.sync_objects;
    const auto at = std::lower_bound(
        objects.begin(), objects.end(), object.address,
        [](const pyframes::PySyncObject& each, attach::Address address) { return each.address < address; });
    if (at != objects.end() && at->address == object.address) {
      *at = object;
    } else {
      objects.insert(at, object);
    }
  }

  report::Snapshot& snapshot() { return snapshot_; }
  pyframes::PyInterpreter& interpreter() { return snapshot_.runtime.interpreters.front(); }
  report::Snapshot build() const { return snapshot_; }

 private:
  report::Snapshot snapshot_;
};

inline report::SnapshotThread& ThreadBuilder::os() {
  return builder_.snapshot().threads[os_];
}
inline pyframes::PyThread& ThreadBuilder::python() {
  return builder_.interpreter().threads[python_.value()];
}

inline ThreadBuilder& ThreadBuilder::waits_for(const pyframes::PySyncObject& object, std::uint64_t limit) {
  const attach::Address word = object.address + 16;
  sleeps_in(SYS_futex, word.value, 0x189, 0, limit);
  builder_.knows(object);
  const std::string kind = object.kind == pyframes::PySyncKind::rlock ? "RLock" : "Lock";
  python().lock_wait = pyframes::PyLockWait{
      object.address, word, "semaphore-on-value-stack",
      "the futex word is the semaphore of the " + kind + " on its innermost frame's value stack"};
  return *this;
}

inline ThreadBuilder& ThreadBuilder::holds(const pyframes::PySyncObject& object,
                                           std::optional<std::size_t> frame, int line,
                                           pyframes::PyHoldTrust trust) {
  pyframes::PyHeldLock held;
  held.object = object.address;
  held.trust = trust;
  held.frame = frame;
  held.acquired.line = line;
  if (frame && *frame < python().frames.size()) {
    held.acquired.file = python().frames[*frame].file;
    held.acquired.function = python().frames[*frame].function;
  }
  held.rule = "with-block";
  held.evidence = "an open with block of its frame has this lock as its manager";
  if (pyframes::find_sync_object(builder_.snapshot().runtime, object.address) == nullptr)
    builder_.knows(object);
  python().held.push_back(std::move(held));
  return *this;
}

inline ThreadBuilder& ThreadBuilder::notes(std::size_t frame, std::string variable,
                                           const pyframes::PySyncObject& object) {
  if (pyframes::find_sync_object(builder_.snapshot().runtime, object.address) == nullptr)
    builder_.knows(object);
  python().frame_objects.push_back({frame, std::move(variable), object.address});
  return *this;
}

// The Lock that Condition.wait made for this wait alone.
inline pyframes::PySyncObject waiter_lock(pid_t tid) {
  return lock(0x6000000 + static_cast<std::uint64_t>(tid) * 0x40U);
}

inline ThreadBuilder& ThreadBuilder::waits_inside(
    std::initializer_list<std::pair<const char*, const char*>> functions,
    const pyframes::PySyncObject& object, std::uint64_t limit, std::string variable) {
  for (const auto& [module, function] : functions) frame("/usr/lib/lib.py", 1, function, module);
  waits_for(waiter_lock(python().tid), limit);
  builder_.knows(object);
  return notes(python().frames.size() - 1, std::move(variable), object);
}

inline ThreadBuilder& ThreadBuilder::waits_for_mutex(std::uint64_t address, pid_t owner) {
  sleeps_in(SYS_futex, address, 0x80);
  attach::FutexWait& futex = os().os.futex.emplace();
  futex.word = futex.around_begin = attach::Address(address);
  const std::array<std::int32_t, 6> words{2, 0, owner, 1, 0, 0};
  futex.around.resize(sizeof words);
  std::memcpy(futex.around.data(), words.data(), sizeof words);
  return *this;
}

inline ThreadBuilder& ThreadBuilder::waits_for_gil() {
  sleeps_in(SYS_futex, builder_.interpreter().gil->address.value + 32, 0x189, 0, 0x7ffc00);
  python().waits_for_gil = true;
  return *this;
}

inline ThreadBuilder& ThreadBuilder::holds_gil() {
  pyframes::PyGil& gil = *builder_.interpreter().gil;
  gil.locked = true;
  gil.holder = python().tstate;
  gil.holder_tid = python().tid;
  python().holds_gil = true;
  return *this;
}

}  // namespace pythreads::tests
