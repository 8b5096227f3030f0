#include "pyframes/held_locks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pyframes/frame_slots.h"
#include "pyframes/hex.h"
#include "pyframes/objects.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_frames = 1000;  // of one owner; a lock is rarely taken further out

// The RLocks that `ident` owns among those that are waited for.
std::vector<Address> owned_by(std::uint64_t ident, const std::vector<PySyncObject>& locks) {
  std::vector<Address> owned;
  for (const PySyncObject& lock : locks) {
    if (lock.owner_ident == ident) owned.push_back(lock.address);
  }
  return owned;
}

std::uint64_t ident_of(const RuntimeLayout& layout, const ThreadCopy& thread) {
  return thread.tstate.get(layout.thread_state.thread_id).value_or(0);
}

// A Condition's `with` takes the lock inside it (threading.Condition.__enter__).
std::optional<Address> lock_of_condition(Reading& reading, Address manager) {
  const RuntimeLayout& layout = reading.layout();
  const Result<Address> type = type_of(layout, reading.memory, manager);
  if (!type) return std::nullopt;
  const Result<bool> is_condition = type_or_base_is(layout, reading.memory, *type, "Condition");
  if (!is_condition || !*is_condition) return std::nullopt;
  const Result<std::optional<Address>> lock = find_attribute(layout, reading.memory, manager, "_lock");
  return lock ? *lock : std::nullopt;
}

std::vector<PyHeldLock> held_by(Reading& reading, const ThreadCopy& thread,
                                const std::vector<Address>& owned) {
  std::vector<PyHeldLock> held;
  const std::size_t count = std::min(thread.frames.size(), max_frames);
  for (std::size_t i = 0; i < count; ++i) {
    for (const OpenWith& open : open_with_blocks(reading, thread.frames[i])) {
      Address object = open.manager;
      std::string rule = "with-block";
      if (std::find(owned.begin(), owned.end(), object) == owned.end()) {
        object = lock_of_condition(reading, object).value_or(Address());
        rule = "with-condition";
        if (std::find(owned.begin(), owned.end(), object) == owned.end()) continue;
      }
      held.push_back({.object = object,
                      .trust = PyHoldTrust::certain,
                      .frame = i,
                      .acquired = {"", open.line, ""},
                      .rule = std::move(rule),
                      .evidence = "a with block on it is open in one of its frames (" + hex(object) + ")"});
    }
  }
  return held;
}

}  // namespace

void fetch_held_locks(Reading& reading, const RuntimeCopy& copy, const std::vector<PySyncObject>& locks) {
  std::vector<std::pair<const ThreadCopy*, std::vector<Address>>> owners;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      std::vector<Address> owned = owned_by(ident_of(reading.layout(), thread), locks);
      if (!owned.empty()) owners.emplace_back(&thread, std::move(owned));
    }
  }
  // Two waves for all of them: the code objects tell how long the frames are.
  const auto code_size = static_cast<std::uint64_t>(std::max(reading.layout().code.size, 0));
  std::vector<Range> wave;
  for (const auto& [thread, owned] : owners) {
    for (const FrameCopy& frame : thread->frames) wave.push_back({frame.code, code_size});
  }
  reading.memory.prefetch(wave);
  wave.clear();
  for (const auto& [thread, owned] : owners) {
    for (const FrameCopy& frame : thread->frames) {
      const Result<FrameSize> size = frame_size(reading, frame.code);
      if (size) wave.push_back(frame_slots(reading.layout(), frame, *size));
    }
  }
  reading.memory.prefetch(wave);
  for (const auto& [thread, owned] : owners) static_cast<void>(held_by(reading, *thread, owned));
}

void read_held_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  for (std::size_t i = 0; i < copy.interpreters.size() && i < state.interpreters.size(); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < threads.size() && j < state.interpreters[i].threads.size(); ++j) {
      const std::vector<Address> owned = owned_by(ident_of(reading.layout(), threads[j]), state.sync_objects);
      if (owned.empty()) continue;
      PyThread& thread = state.interpreters[i].threads[j];
      thread.held = held_by(reading, threads[j], owned);
      for (PyHeldLock& held : thread.held) {
        if (!held.frame || *held.frame >= thread.frames.size()) continue;
        held.acquired.file = thread.frames[*held.frame].file;
        held.acquired.function = thread.frames[*held.frame].function;
      }
    }
  }
}

}  // namespace pythreads::pyframes
