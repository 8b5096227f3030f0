#include "pyframes/pending_calls.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string_view>

#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/frames.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_frames = 16;     // of one thread, of the program's own
constexpr std::size_t max_threads = 2000;  // of a process
constexpr std::array<std::string_view, 15> waking_methods{
    "notify",    "notify_all", "notifyAll",  "set",           "put",    "put_nowait", "get", "get_nowait",
    "task_done", "release",    "set_result", "set_exception", "cancel", "abort",      "wait"};

void read_frame(Reading& reading, const FrameCopy& frame, std::size_t index, PyThread& thread) {
  const std::shared_ptr<const std::vector<MethodCall>> calls = method_calls(reading, frame.code);
  if (!calls || calls->empty()) return;
  const Result<std::shared_ptr<const Code>> code = read_code_head(reading, frame.code);
  const std::optional<std::int64_t> current =
      code ? instruction_of(reading, frame, **code) : std::optional<std::int64_t>();
  if (!current) return;
  for (const MethodCall& call : *calls) {
    // One that waits for a lock stands before what it would do with it; of one that goes on by itself, what
    // stands before may come again.
    if (thread.lock_wait && call.call <= *current) continue;
    if (std::find(waking_methods.begin(), waking_methods.end(), call.method) == waking_methods.end())
      continue;
    const std::optional<Address> object = evaluate(reading, frame, call.object);
    if (!object || describe_sync_object(reading, *object) == nullptr) continue;
    int line = 0;
    if (!reading.held) {
      if (const Result<std::shared_ptr<const Code>> whole = read_code(reading, frame.code)) {
        line =
            find_position(reading.layout().line_table, (*whole)->line_table, (*whole)->first_line, call.call)
                .line;
      }
    }
    thread.pending_calls.push_back({*object, call.method, index, line});
  }
}

// Who waits to be woken matters only where he keeps something that others wait for: what would wake him may
// then never come. Else no code is read.
bool anybody_is_in_the_way(const PyRuntimeState& state) {
  std::set<Address> waited;
  for (const PyInterpreter& interpreter : state.interpreters) {
    for (const PyThread& thread : interpreter.threads) {
      if (thread.lock_wait) waited.insert(thread.lock_wait->object);
    }
  }
  return std::any_of(
      state.interpreters.begin(), state.interpreters.end(), [&](const PyInterpreter& interpreter) {
        return std::any_of(
            interpreter.threads.begin(), interpreter.threads.end(), [&](const PyThread& thread) {
              return thread.lock_wait && !thread.frame_objects.empty() &&
                     std::any_of(thread.held.begin(), thread.held.end(),
                                 [&](const PyHeldLock& held) { return waited.contains(held.object); });
            });
      });
}

}  // namespace

void read_pending_calls(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!anybody_is_in_the_way(state)) return;
  std::size_t looked = 0;
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    std::vector<PyThread>& states = state.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) {
      if (looked++ >= max_threads) return;
      std::size_t own = 0;
      for (std::size_t k = 0; k < threads[j].frames.size() && own < max_frames; ++k) {
        if (is_library_frame(reading, threads[j].frames[k])) continue;
        ++own;
        read_frame(reading, threads[j].frames[k], k, states[j]);
      }
    }
  }
}

}  // namespace pythreads::pyframes
