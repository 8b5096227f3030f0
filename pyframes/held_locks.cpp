#include "pyframes/held_locks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pyframes/block_edges.h"
#include "pyframes/code.h"
#include "pyframes/explicit_holds.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/hold_rules.h"
#include "pyframes/lock_managers.h"
#include "pyframes/objects.h"
#include "pyframes/suspended_holds.h"
#include "pyframes/sync_objects.h"
#include "pyframes/unwinding.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_frames = 1000;  // of one thread; a lock is rarely taken further out

class HeldLocks {
 public:
  HeldLocks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    find_frames_with_blocks();
    if (reading_.held) fetch_managers(reading_, frames_);
    for (std::size_t i = 0; i < places_.size(); ++i) find_open_blocks(places_[i], *frames_[i]);
    find_others();
    for_each_thread([](const ThreadCopy&, PyThread& thread) { order(thread.held); });
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

  // The search that costs more is for locks that somebody waits for and nobody was seen to hold.
  void find_others() {
    find_unowned();
    if (unowned_.empty()) return;
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) { find_explicit(thread, into); });
    find_unowned();
    if (unowned_.empty()) return;
    find_suspended();
    find_unowned();
    if (unowned_.empty()) return;
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) { find_at_edges(thread, into); });
  }

  // Best trust first, and one for each object and frame.
  static void order(std::vector<PyHeldLock>& held) {
    std::stable_sort(held.begin(), held.end(),
                     [](const PyHeldLock& one, const PyHeldLock& other) { return one.trust < other.trust; });
    std::set<std::pair<Address, std::optional<std::size_t>>> seen;
    std::erase_if(held, [&](const PyHeldLock& each) {
      return !seen.insert({each.object, each.frame}).second;
    });
  }

  struct FramePlace {
    const ThreadCopy* thread = nullptr;
    PyThread* into = nullptr;
    std::size_t index = 0;
  };

  void find_frames_with_blocks() {
    for_each_thread([&](const ThreadCopy& thread, PyThread& into) {
      for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
        if (!may_have_with_blocks(reading_, thread.frames[i])) continue;
        places_.push_back({&thread, &into, i});
        frames_.push_back(&thread.frames[i]);
      }
    });
  }

  void find_open_blocks(const FramePlace& place, const FrameCopy& frame) {
    find_given_back(*place.thread);
    for (const OpenWith& open : open_with_blocks(reading_, frame)) {
      for (const Address object : released_by_manager(reading_, open.manager))
        opened_[place.thread].insert(object);
      for (ManagedLock& lock : locks_of_manager(reading_, open.manager)) {
        doubt_released(*place.thread, place.index, open, lock);
        if (may_be_left(reading_, *place.thread, place.index, open)) lock.trust = PyHoldTrust::likely;
        doubt_signal(place, frame, lock);
        add(*place.into, frame, place.index, open.line, std::move(lock));
      }
    }
  }

  // A Lock may have been given back by hand inside its block, in this frame or in one that it called, and
  // belong to another by now.
  void doubt_released(const ThreadCopy& thread, std::size_t index, const OpenWith& open, ManagedLock& lock) {
    const PySyncObject* known = describe_sync_object(reading_, lock.object);
    if (known == nullptr || known->kind != PySyncKind::lock) return;
    // Blocks are met from the innermost one outwards.
    bool released = opened_[&thread].contains(lock.object) ||
                    is_released_inside(reading_, thread.frames[index], lock.object, open);
    for (std::size_t i = index; i > 0 && !released; --i) {
      const FrameCopy& inner = thread.frames[i - 1];
      if (!is_library_frame(reading_, inner)) released = is_released_inside(reading_, inner, lock.object, {});
    }
    if (!released) return;
    lock.trust = PyHoldTrust::likely;
    lock.rule = hold_rule::released_inside;
    lock.evidence =
        "a with block on it is open in one of its frames, and it was released by hand inside of it";
  }

  void doubt_signal(const FramePlace& place, const FrameCopy& frame, ManagedLock& lock) {
    const std::optional<PyLockWait>& wait = place.into->lock_wait;
    if (place.index != 0 || !wait || wait->object != lock.object) return;
    const PySyncObject* known = describe_sync_object(reading_, lock.object);
    if (known == nullptr || known->kind != PySyncKind::lock) return;
    if (!acquires_again(reading_, frame, lock.object)) return;
    lock.trust = PyHoldTrust::likely;
    lock.evidence += again_as_signal;
  }

  // Inside Condition.wait the Condition's lock is not held, though `with condition:` is open further out. A
  // signal handler that runs meanwhile may take it again, further in.
  void find_given_back(const ThreadCopy& thread) {
    const auto [kept, added] = given_back_by_thread_.try_emplace(&thread);
    given_back_ = &kept->second;
    if (!added) return;
    for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
      if (!is_threading_wait(thread.frames[i])) continue;
      const std::optional<Address> self = find_variable(reading_, thread.frames[i], "self");
      const PySyncObject* known = self ? describe_sync_object(reading_, *self) : nullptr;
      if (known == nullptr || known->kind != PySyncKind::condition) continue;
      if (!known->lock.is_null()) {
        given_back_->emplace_back(i, known->lock);
        continue;
      }
      // It may be an object of a program's own class.
      const Result<std::optional<Address>> lock = find_attribute(layout(), reading_.memory, *self, "_lock");
      if (lock && *lock) given_back_->emplace_back(i, lock_behind(reading_, **lock));
    }
  }

  bool is_threading_wait(const FrameCopy& frame) {
    const auto [known, added] = waits_.try_emplace(frame.code, false);
    if (added)
      known->second = code_name(reading_, frame.code) == "wait" && module_of(reading_, frame) == "threading";
    return known->second;
  }

  // Of an RLock the owner field tells.
  bool is_given_back(const PySyncObject& lock, std::optional<std::size_t> frame) const {
    if (lock.owner_field || !frame) return false;
    return std::any_of(given_back_->begin(), given_back_->end(),
                       [&](const auto& each) { return each.first < *frame && each.second == lock.address; });
  }

  void add(PyThread& thread, const FrameCopy& frame, std::optional<std::size_t> index, int line,
           ManagedLock&& lock) {
    const PySyncObject* known = describe_sync_object(reading_, lock.object);
    if (known == nullptr || !is_plausible(*known, lock.permit, thread)) return;
    if (is_given_back(*known, index)) return;
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
  static bool is_plausible(const PySyncObject& object, bool permit, const PyThread& thread) {
    if (object.kind == PySyncKind::semaphore || object.kind == PySyncKind::bounded_semaphore) return true;
    // Between processes: whether this one has any of its permits, and who took the last one.
    if (object.kind == PySyncKind::sem_lock && permit) return object.owner_ident.has_value();
    if (!object.locked.value_or(true)) return false;
    return !object.owner_field || object.owner_ident == thread.ident;
  }

  PyPlace place_of(const FrameCopy& frame, int line) {
    if (reading_.held) return {};
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    return code ? PyPlace{(*code)->file, line, (*code)->name} : PyPlace{};
  }

  // ---- acquired by hand

  void find_explicit(const ThreadCopy& thread, PyThread& into) {
    find_given_back(thread);
    for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
      for (ExplicitHold& hold : explicit_holds(reading_, thread.frames[i], unowned_)) {
        const int line = line_at(thread.frames[i], hold.taken);
        add(into, thread.frames[i], i, line, std::move(hold.lock));
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
    for_each_thread([&](const ThreadCopy& copy, PyThread& thread) {
      if (!thread.lock_wait || is_waiter(copy, thread.lock_wait->object)) return;
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

  // The lock that Condition.wait makes for itself, acquires, and has released by who notifies.
  bool is_waiter(const ThreadCopy& thread, Address lock) {
    return !thread.frames.empty() && is_threading_wait(thread.frames.front()) &&
           find_variable(reading_, thread.frames.front(), "waiter") == lock;
  }

  void find_suspended() {
    for (SuspendedHold& hold : suspended_holds(reading_, copy_, state_, unowned_)) {
      PyThread& into = state_.interpreters[hold.interpreter].threads[hold.thread];
      const ThreadCopy& thread = copy_.interpreters[hold.interpreter].threads[hold.thread];
      find_given_back(thread);
      // Its own place is in `taken`, not in the frame that refers to it.
      add(into, {}, hold.frame, 0, std::move(hold.lock));
    }
  }

  // ---- at the edge of a block

  void find_at_edges(const ThreadCopy& thread, PyThread& into) {
    find_given_back(thread);
    for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames); ++i) {
      for (EdgeHold& hold : holds_at_block_edge(reading_, thread, i, into.takes_gil)) {
        if (!unowned_.contains(hold.lock.object)) continue;
        if (into.lock_wait && into.lock_wait->object == hold.lock.object) continue;
        add(into, thread.frames[i], i, hold.line, std::move(hold.lock));
      }
    }
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::vector<FramePlace> places_;        // frames with blocks …
  std::vector<const FrameCopy*> frames_;  // … and each itself
  std::set<Address> unowned_;
  using GivenBack = std::vector<std::pair<std::size_t, Address>>;  // by which frame
  std::unordered_map<const ThreadCopy*, GivenBack> given_back_by_thread_;
  // What managers further in released when they were entered.
  std::unordered_map<const ThreadCopy*, std::unordered_set<Address>> opened_;
  GivenBack* given_back_ = nullptr;          // of the thread at hand
  std::unordered_map<Address, bool> waits_;  // code objects: whether it is threading's `wait`
};

}  // namespace

void fetch_held_locks(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  const auto code_size = static_cast<std::uint64_t>(std::max(layout.code.size, 0));
  std::vector<Range> codes;
  std::unordered_set<Address> seen;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (const FrameCopy& frame : thread.frames) {
        if (seen.insert(frame.code).second) codes.push_back({frame.code, code_size});
      }
    }
  }
  reading.memory.prefetch(codes);
  if (!layout.code.co_exceptiontable.exists()) return;
  // Their exception tables; many share the empty one.
  constexpr std::uint64_t most_tables = 256;
  std::vector<Range> tables;
  for (const Range& code : codes) {
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
