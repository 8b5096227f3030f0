#include "pyframes/held_locks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pyframes/code.h"
#include "pyframes/explicit_holds.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/hold_rules.h"
#include "pyframes/lock_managers.h"
#include "pyframes/objects.h"
#include "pyframes/suspended_frames.h"
#include "pyframes/sync_objects.h"
#include "pyframes/unwinding.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_frames = 1000;       // of one thread; a lock is rarely taken further out
constexpr std::size_t max_slots = 256;         // of one frame, when suspended generators are looked for
constexpr std::size_t max_suspended = 20'000;  // slots that are looked at for them, all together

class HeldLocks {
 public:
  HeldLocks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) { find_open_blocks(thread, into); });
    // The search that costs more is for locks that somebody waits for and nobody was seen to hold.
    find_unowned();
    if (unowned_.empty()) return;
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) { find_explicit(thread, into); });
    find_unowned();
    if (unowned_.empty()) return;
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) { find_suspended(thread, into); });
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }

  template <typename Visit>
  void for_each_thread(Visit visit) {
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      std::vector<PyThread>& states = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) visit(threads[j], states[j]);
    }
  }

  void find_open_blocks(const ThreadCopy& thread, PyThread& into) {
    const std::optional<Address> waited = given_back(thread);
    const std::size_t count = std::min(thread.frames.size(), max_frames);
    for (std::size_t i = 0; i < count; ++i) {
      for (const OpenWith& open : open_with_blocks(reading_, thread.frames[i])) {
        for (ManagedLock& lock : locks_of_manager(reading_, open.manager)) {
          doubt_released(thread.frames[i], open, lock);
          if (may_be_unwinding(reading_, thread, i)) lock.trust = PyHoldTrust::likely;
          add(into, thread.frames[i], i, open.line, std::move(lock), waited);
        }
      }
    }
  }

  // A Lock may have been given back by hand inside its block, and belong to another by now.
  void doubt_released(const FrameCopy& frame, const OpenWith& open, ManagedLock& lock) {
    const PySyncObject* known = describe_sync_object(reading_, lock.object);
    if (known == nullptr || known->kind != PySyncKind::lock) return;
    if (!is_released_inside(reading_, frame, lock.object, open)) return;
    lock.trust = PyHoldTrust::likely;
    lock.rule = hold_rule::released_inside;
    lock.evidence = "a with block on it is open in one of its frames, which has released it by hand inside";
  }

  // Inside Condition.wait the Condition's lock is not held, though `with condition:` is open further out.
  std::optional<Address> given_back(const ThreadCopy& thread) {
    constexpr std::size_t innermost = 3;
    for (std::size_t i = 0; i < std::min(thread.frames.size(), innermost); ++i) {
      if (code_name(reading_, thread.frames[i].code) != "wait") continue;
      if (module_of(reading_, thread.frames[i]) != "threading") continue;
      const std::optional<Address> self = find_variable(reading_, thread.frames[i], "self");
      const PySyncObject* known = self ? describe_sync_object(reading_, *self) : nullptr;
      if (known != nullptr && known->kind == PySyncKind::condition && !known->lock.is_null())
        return known->lock;
    }
    return std::nullopt;
  }

  void add(PyThread& thread, const FrameCopy& frame, std::optional<std::size_t> index, int line,
           ManagedLock&& lock, std::optional<Address> waited) {
    if (waited == lock.object) return;
    const PySyncObject* known = describe_sync_object(reading_, lock.object);
    if (known == nullptr || !is_plausible(*known, thread)) return;
    const bool twice = std::any_of(thread.held.begin(), thread.held.end(), [&](const PyHeldLock& each) {
      return each.object == lock.object && each.frame == index && each.trust <= lock.trust;
    });
    if (twice) return;
    PyHeldLock held;
    held.object = lock.object;
    held.trust = lock.trust;
    held.permit = lock.permit;
    held.frame = index;
    held.acquired = lock.taken.line > 0 ? std::move(lock.taken) : place_of(frame, line);
    held.rule = std::move(lock.rule);
    held.evidence = std::move(lock.evidence);
    thread.held.push_back(std::move(held));
  }

  // What the object says of itself must not speak against it.
  static bool is_plausible(const PySyncObject& object, const PyThread& thread) {
    if (object.kind == PySyncKind::semaphore || object.kind == PySyncKind::bounded_semaphore) return true;
    if (!object.locked.value_or(true)) return false;
    return !object.owner_field || object.kind == PySyncKind::sem_lock || object.owner_ident == thread.ident;
  }

  PyPlace place_of(const FrameCopy& frame, int line) {
    if (reading_.held) return {};
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    return code ? PyPlace{(*code)->file, line, (*code)->name} : PyPlace{};
  }

  // ---- acquired by hand

  void find_explicit(const ThreadCopy& thread, PyThread& into) {
    for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
      for (ExplicitHold& hold : explicit_holds(reading_, thread.frames[i], unowned_)) {
        const int line = line_at(thread.frames[i], hold.taken);
        add(into, thread.frames[i], i, line, std::move(hold.lock), std::nullopt);
      }
    }
  }

  int line_at(const FrameCopy& frame, std::int64_t instruction) {
    if (reading_.held || instruction < 0) return 0;
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    if (!code) return 0;
    return find_position(layout().line_table, (*code)->line_table, (*code)->first_line, instruction).line;
  }

  // ---- suspended generators

  // Waited for, locked, and held by nobody that is sure to.
  void find_unowned() {
    unowned_.clear();
    for_each_thread([&](const ThreadCopy&, PyThread& thread) {
      if (!thread.lock_wait) return;
      const PySyncObject* known = describe_sync_object(reading_, thread.lock_wait->object);
      const bool lock =
          known != nullptr && (known->kind == PySyncKind::lock || known->kind == PySyncKind::rlock);
      if (lock && known->locked.value_or(false)) unowned_.insert(known->address);
    });
    for_each_thread([&](const ThreadCopy&, PyThread& thread) {
      for (const PyHeldLock& each : thread.held) {
        if (each.trust != PyHoldTrust::likely) unowned_.erase(each.object);
      }
    });
  }

  // Whoever has a suspended generator in a variable or on a value stack holds what it holds.
  void find_suspended(const ThreadCopy& thread, PyThread& into) {
    for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
      const Result<FrameSize> size = frame_size(reading_, thread.frames[i].code);
      if (!size) continue;
      const std::size_t count = std::min(size->variables + size->value_stack, max_slots);
      const Result<std::vector<std::uint64_t>> words =
          read_slots(reading_, frame_slots(layout(), thread.frames[i], *size), 0, count);
      if (!words) continue;
      for (const std::uint64_t word : *words) {
        if (looked_at_ >= max_suspended) return;
        const std::optional<Address> object = referred_object(layout(), word);
        if (!object || !seen_.insert(*object).second) continue;
        ++looked_at_;
        add_suspended(*object, i, into, 0);
      }
    }
  }

  void add_suspended(Address object, std::size_t index, PyThread& into, int depth) {
    constexpr int deepest = 8;
    const std::optional<FrameCopy> frame = depth < deepest ? suspended_frame(reading_, object) : std::nullopt;
    if (!frame) return;
    for (const OpenWith& open : open_with_blocks(reading_, *frame)) {
      for (ManagedLock& lock : locks_of_manager(reading_, open.manager)) {
        lock.trust = std::max(lock.trust, PyHoldTrust::inferred);
        lock.rule = hold_rule::suspended_generator;
        lock.evidence = "a generator that one of its frames refers to is suspended inside a with block on it";
        if (lock.taken.line == 0) lock.taken = place_of(*frame, open.line);
        add(into, *frame, index, open.line, std::move(lock), std::nullopt);
      }
    }
    // `yield from` and `await`: the inner one is on its value stack.
    const Result<FrameSize> size = frame_size(reading_, frame->code);
    if (!size) return;
    const Result<std::vector<std::uint64_t>> words =
        read_slots(reading_, frame_slots(layout(), *frame, *size), 0,
                   std::min(size->variables + size->value_stack, max_slots));
    if (!words) return;
    for (const std::uint64_t word : *words) {
      const std::optional<Address> inner = referred_object(layout(), word);
      if (inner && seen_.insert(*inner).second) add_suspended(*inner, index, into, depth + 1);
    }
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::set<Address> unowned_, seen_;
  std::size_t looked_at_ = 0;
};

}  // namespace

void fetch_held_locks(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  const auto code_size = static_cast<std::uint64_t>(std::max(layout.code.size, 0));
  std::vector<Range> codes;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (const FrameCopy& frame : thread.frames) codes.push_back({frame.code, code_size});
    }
  }
  reading.memory.prefetch(codes);
  if (!layout.code.co_exceptiontable.exists()) return;
  // Their exception tables; many share the empty one.
  constexpr std::uint64_t most_tables = 256;
  std::set<Address> seen;
  std::vector<Range> tables;
  for (const Range& code : codes) {
    if (!seen.insert(code.begin).second) continue;
    const Result<Address> table = reading.memory.read_address(
        code.begin + static_cast<std::uint64_t>(layout.code.co_exceptiontable.offset));
    if (table) tables.push_back({*table, most_tables});
  }
  reading.memory.prefetch(tables);
}

void read_held_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  HeldLocks(reading, copy, state).run();
}

}  // namespace pythreads::pyframes
