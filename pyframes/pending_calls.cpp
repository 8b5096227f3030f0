#include "pyframes/pending_calls.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "pyframes/bound_method.h"
#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/hold_rules.h"
#include "pyframes/lock_managers.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_frames = 16;     // of one thread, of the program's own
constexpr std::size_t max_threads = 2000;  // of a process
constexpr std::size_t max_pending = 64;    // of one thread
constexpr std::array<std::string_view, 15> waking_methods{
    "notify",    "notify_all", "notifyAll",  "set",           "put",    "put_nowait", "get", "get_nowait",
    "task_done", "release",    "set_result", "set_exception", "cancel", "abort",      "wait"};

bool is_waking(std::string_view method) {
  return std::find(waking_methods.begin(), waking_methods.end(), method) != waking_methods.end();
}

class PendingCalls {
 public:
  PendingCalls(Reading& reading, const ThreadCopy& copy, PyThread& thread)
      : reading_(reading), copy_(copy), thread_(thread) {}

  void find() {
    std::size_t own = 0;
    for (std::size_t i = 0; i < copy_.frames.size() && own < max_frames; ++i) {
      if (is_library_frame(reading_, copy_.frames[i])) {
        in_timer(i);
        continue;
      }
      ++own;
      in_code(i);
      in_variables(i);
    }
    doubt_holds();
  }

 private:
  // What a release releases: the lock inside of what it is called on.
  std::optional<Address> object_of(const FrameCopy& frame, const MethodCall& call) {
    const std::optional<Address> object = evaluate(reading_, frame, call.object);
    if (!object) return std::nullopt;
    const bool of_lock = call.method == "release" || call.method == "acquire";
    return of_lock ? lock_behind(reading_, *object) : object;
  }

  void in_code(std::size_t index) {
    const FrameCopy& frame = copy_.frames[index];
    const std::shared_ptr<const std::vector<MethodCall>> calls = method_calls(reading_, frame.code);
    if (!calls || calls->empty()) return;
    const Result<std::shared_ptr<const Code>> code = read_code_head(reading_, frame.code);
    const std::optional<std::int64_t> current =
        code ? instruction_of(reading_, frame, **code) : std::optional<std::int64_t>();
    if (!current) return;
    // What stands before may come again, in a loop; but one that waits for a lock comes to what follows
    // first.
    const auto after = std::find_if(calls->begin(), calls->end(),
                                    [&](const MethodCall& call) { return call.call > *current; });
    std::set<Address> acquired;
    const auto look_at = [&](const MethodCall& call) {
      if (!is_waking(call.method) && call.method != "acquire") return;
      const std::optional<Address> object = object_of(frame, call);
      if (!object || describe_sync_object(reading_, *object) == nullptr) return;
      if (call.method == "acquire") {
        acquired.insert(*object);
      } else if (call.method != "release" || !acquired.contains(*object)) {
        add(*object, call.method, index, line_at(frame, call.call));
      }
    };
    std::for_each(after, calls->end(), look_at);
    if (!thread_.lock_wait) std::for_each(calls->begin(), after, look_at);
  }

  void in_variables(std::size_t index) {
    for (const FrameVariable& each : frame_variables(reading_, copy_.frames[index]).variables)
      add_bound(each.object, index);
  }

  // threading.Timer.run: what it will call.
  void in_timer(std::size_t index) {
    const FrameCopy& frame = copy_.frames[index];
    if (code_name(reading_, frame.code) != "run" || module_of(reading_, frame) != "threading") return;
    const std::optional<Address> self = find_variable(reading_, frame, "self");
    if (!self) return;
    const Result<std::optional<Address>> function =
        find_attribute(reading_.layout(), reading_.memory, *self, "function");
    if (function && *function) add_bound(**function, index);
  }

  void add_bound(Address object, std::size_t index) {
    const std::optional<BoundMethod> method = read_bound_method(reading_, object);
    if (!method || !is_waking(method->name)) return;
    const Address target = method->name == "release" ? lock_behind(reading_, method->self) : method->self;
    if (describe_sync_object(reading_, target) == nullptr) return;
    add(target, method->name, index, 0);
    if (method->name == "release") at_hand_.emplace(target, index);
  }

  // The thread may have called it already.
  void doubt_holds() {
    for (PyHeldLock& held : thread_.held) {
      if (held.trust == PyHoldTrust::likely || !held.frame) continue;
      const PySyncObject* known = describe_sync_object(reading_, held.object);
      const bool at_hand = std::any_of(at_hand_.begin(), at_hand_.end(), [&](const auto& each) {
        return each.first == held.object && each.second <= *held.frame;
      });
      if (known == nullptr || known->kind != PySyncKind::lock || !at_hand) continue;
      held.trust = PyHoldTrust::likely;
      held.rule = hold_rule::released_inside;
      held.evidence += "; but a variable of its frames is the lock's release, which it may have called";
    }
  }

  void add(Address object, std::string method, std::size_t index, int line) {
    if (thread_.pending_calls.size() < max_pending)
      thread_.pending_calls.push_back({object, std::move(method), index, line});
  }

  int line_at(const FrameCopy& frame, std::int64_t instruction) {
    if (reading_.held) return 0;
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, frame.code);
    if (!code) return 0;
    return find_position(reading_.layout().line_table, (*code)->line_table, (*code)->first_line, instruction)
        .line;
  }

  Reading& reading_;
  const ThreadCopy& copy_;
  PyThread& thread_;
  std::set<std::pair<Address, std::size_t>> at_hand_;  // locks whose bound `release` a frame refers to
};

template <typename Visit>
void for_each_thread(const PyRuntimeState& state, Visit visit) {
  for (const PyInterpreter& interpreter : state.interpreters) {
    for (const PyThread& thread : interpreter.threads) visit(thread);
  }
}

// A worker of a pool, or a loop's thread, that waits for a future.
bool is_worker_waiting(Reading& reading, const PyThread& thread) {
  bool works = false, waits = false;
  for (const PyFrameObject& each : thread.frame_objects) {
    const PySyncObject* known = describe_sync_object(reading, each.object);
    if (known == nullptr) continue;
    works = works || each.variable == "work_queue" || known->kind == PySyncKind::event_loop;
    waits = waits || (known->kind == PySyncKind::future && each.variable != "self.future");
  }
  return works && waits;
}

// What would end a wait matters only where the waiter is in others' way, who could not come to it otherwise.
// Else no code is read.
bool anybody_is_in_the_way(Reading& reading, const PyRuntimeState& state) {
  std::set<Address> waited;
  for_each_thread(state, [&](const PyThread& thread) {
    if (thread.lock_wait) waited.insert(thread.lock_wait->object);
  });
  bool found = false;
  for_each_thread(state, [&](const PyThread& thread) {
    if (found || !thread.lock_wait) return;
    found = std::any_of(thread.held.begin(), thread.held.end(),
                        [&](const PyHeldLock& held) { return waited.contains(held.object); }) ||
            is_worker_waiting(reading, thread);
  });
  return found;
}

}  // namespace

void read_pending_calls(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!anybody_is_in_the_way(reading, state)) return;
  std::size_t looked = 0;
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    std::vector<PyThread>& states = state.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) {
      if (looked++ >= max_threads) return;
      PendingCalls(reading, threads[j], states[j]).find();
    }
  }
}

}  // namespace pythreads::pyframes
