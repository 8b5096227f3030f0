#include "report/analysis/wait_rules.h"

#include <algorithm>
#include <optional>
#include <string>

#include "report/analysis/native_locks.h"

namespace pythreads::report {
namespace {

using pyframes::PySyncKind;
using pyframes::PySyncObject;

constexpr std::size_t innermost_native = 12;  // frames in which a native function is looked for

// What the table is asked about, computed once for a thread.
struct Facts {
  const attach::KernelWait* call = nullptr;
  const attach::FutexWait* futex = nullptr;
  const unwinder::NativeStack* native = nullptr;
  const pyframes::PyThread* python = nullptr;
  const pyframes::PyRuntimeState* runtime = nullptr;
  const PySyncObject* slept_on = nullptr;
  std::vector<std::size_t> frames;  // those that are shown, by index
  bool asleep = false, stopped = false;
};

Facts facts_of(const JoinedThread& thread) {
  Facts facts;
  facts.python = thread.python;
  facts.runtime = thread.runtime;
  facts.slept_on = thread.slept_on();
  if (thread.python != nullptr) facts.frames = shown_frames(*thread.python);
  if (thread.os == nullptr) return facts;
  const attach::ThreadState& os = thread.os->os;
  facts.native = &thread.os->native;
  facts.stopped = os.state == 'T';
  // Registers win over the state that /proc gave before the stop: a thread that was held outside any call
  // ran.
  const bool ran = os.registers.has_value() && !os.kernel_wait.has_value();
  if (os.kernel_wait.has_value()) facts.call = &*os.kernel_wait;
  if (os.futex.has_value()) facts.futex = &*os.futex;
  facts.asleep = os.kernel_wait.has_value() || (!ran && (os.state == 'S' || os.state == 'D'));
  return facts;
}

std::string_view without_version(std::string_view symbol) {
  return symbol.substr(0, symbol.find('@'));
}

bool stands_in_native(std::span<const std::string_view> functions, const unwinder::NativeStack* native) {
  if (native == nullptr) return false;
  const std::size_t count = std::min(native->frames.size(), innermost_native);
  return std::any_of(native->frames.begin(), native->frames.begin() + static_cast<std::ptrdiff_t>(count),
                     [&](const unwinder::NativeFrame& frame) {
                       std::string_view name = without_version(frame.function);
                       while (name.starts_with("_") && name.starts_with("__pthread")) name.remove_prefix(2);
                       return std::find(functions.begin(), functions.end(), name) != functions.end();
                     });
}

// The object that a variable of a matched frame refers to.
attach::Address noted(const Facts& facts, std::size_t function, std::string_view variable) {
  if (facts.python == nullptr || function >= facts.frames.size()) return {};
  for (const pyframes::PyFrameObject& each : facts.python->frame_objects) {
    if (each.frame == facts.frames[function] && each.variable == variable) return each.object;
  }
  return {};
}

// It sleeps on the lock of the very Condition whose wait it is inside of.
bool is_reacquired(const Facts& facts) {
  if (facts.slept_on == nullptr || facts.python == nullptr) return false;
  constexpr std::size_t innermost = 2;  // _acquire_restore is a function of Python for a plain Lock
  for (std::size_t i = 0; i < std::min(innermost, facts.frames.size()); ++i) {
    const pyframes::PyFrame& frame = facts.python->frames[facts.frames[i]];
    if (frame.module_name != "threading" || frame.function != "wait") continue;
    const PySyncObject* condition = pyframes::find_sync_object(*facts.runtime, noted(facts, i, "self"));
    return condition != nullptr && condition->kind == PySyncKind::condition &&
           condition->lock == facts.slept_on->address;
  }
  return false;
}

bool has_fact(const WaitRule& rule, const Facts& facts) {
  switch (rule.fact) {
    case WaitFact::any:
      return true;
    case WaitFact::gil:
      return facts.python != nullptr && facts.python->waits_for_gil;
    case WaitFact::slept_on:
      return facts.slept_on != nullptr && facts.slept_on->kind == rule.kind_of_object;
    case WaitFact::reacquired:
      return facts.slept_on != nullptr && facts.slept_on->kind == rule.kind_of_object && is_reacquired(facts);
    case WaitFact::native_mutex:
      return facts.futex != nullptr && mutex_at(*facts.futex).has_value();
    case WaitFact::native_function:
      return stands_in_native(rule.native, facts.native);
    case WaitFact::asleep:
      return facts.asleep;
    case WaitFact::stopped:
      return facts.stopped;
    case WaitFact::no_descriptors:
      return facts.call != nullptr && names_no_descriptors(*facts.call);
  }
  return false;
}

bool stands_on(const WaitRule& rule, const Facts& facts) {
  std::size_t at = 0;
  for (const PythonFunction& expected : rule.functions) {
    if (expected.name.empty()) return true;
    if (at >= facts.frames.size()) return false;
    const pyframes::PyFrame& frame = facts.python->frames[facts.frames[at++]];
    if (frame.module_name != expected.module || frame.function != expected.name) return false;
  }
  return true;
}

void add_resource(const WaitRule& rule, const Facts& facts, Classification& into) {
  switch (rule.resource) {
    case ResourceAt::slept_on:
      if (facts.slept_on != nullptr) into.object = facts.slept_on->address;
      return;
    case ResourceAt::variable:
      into.object = noted(facts, rule.function, rule.variable);
      if (rule.variable != "pending" || rule.function >= facts.frames.size()) return;
      for (const pyframes::PyFrameObject& each : facts.python->frame_objects) {
        if (each.frame == facts.frames[rule.function] && each.variable == rule.variable)
          into.pending.push_back(each.object);
      }
      return;
    case ResourceAt::none:
    case ResourceAt::native_mutex:
    case ResourceAt::native_rwlock:
    case ResourceAt::word:
      return;
  }
}

Wait wait_by(const WaitRule& rule, const Facts& facts) {
  Wait wait;
  wait.kind = rule.kind;
  wait.certainty = rule.certainty;
  wait.evidence = {std::string(rule.rule), std::string(rule.sentence)};
  // A lock is waited for in futex, whatever the row names: the time limit is the same argument.
  const CallGroup calls = rule.calls == CallGroup::any ? CallGroup::futex : rule.calls;
  if (const WaitingCall* known = find_call(calls, facts.call)) {
    wait.timeout = has_time_limit(*known, *facts.call);
    if (known->descriptor_argument >= 0) {
      wait.descriptor =
          static_cast<int>(facts.call->arguments[static_cast<std::size_t>(known->descriptor_argument)]);
    }
  }
  if (facts.futex != nullptr && wait.timeout.value_or(false)) wait.ends_in_ms = facts.futex->ends_in_ms;
  // Their futex calls have a time limit, their loops have none (take_gil, Python/ceval_gil.c;
  // stop_the_world, Python/pystate.c).
  if (rule.fact == WaitFact::gil || rule.kind_of_object == pyframes::PySyncKind::stop_event) {
    wait.timeout = false;
    wait.ends_in_ms.reset();
  }
  if (rule.polls) {
    wait.timeout.reset();
    wait.ends_in_ms.reset();
  }
  if (rule.fact == WaitFact::gil) {
    if (!facts.python->gil_evidence.empty()) wait.evidence.text = facts.python->gil_evidence;
  } else if (rule.fact == WaitFact::slept_on && rule.resource == ResourceAt::slept_on) {
    const pyframes::PyLockWait& found = *facts.python->lock_wait;
    if (!found.evidence.empty()) wait.evidence.text = found.evidence;
  } else if (rule.fact == WaitFact::asleep && facts.call != nullptr) {
    wait.evidence.text += ": system call " + syscall_name(facts.call->number);
  }
  return wait;
}

}  // namespace

std::vector<std::size_t> shown_frames(const pyframes::PyThread& thread) {
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < thread.frames.size(); ++i) {
    if (!thread.frames[i].trampoline) shown.push_back(i);
  }
  return shown;
}

Classification classify(const JoinedThread& thread) {
  Classification result;
  if (thread.os == nullptr) {
    result.status = Status::waiting;
    return result;
  }
  if (thread.os->os.state == 'Z' || thread.os->os.state == 'X') {
    result.status = Status::idle;
    return result;
  }
  const Facts facts = facts_of(thread);
  // What its OS thread does, the state above it does: nothing of this state's own frames is waiting.
  if (thread.is_suspended()) {
    result.status = facts.asleep ? Status::waiting : Status::running;
    return result;
  }
  for (const WaitRule& rule : wait_rules()) {
    if (!has_fact(rule, facts)) continue;
    if (rule.calls != CallGroup::any && find_call(rule.calls, facts.call) == nullptr) continue;
    if (!stands_on(rule, facts)) continue;
    result.status = rule.status;
    result.wait = wait_by(rule, facts);
    result.rule = &rule;
    add_resource(rule, facts, result);
    return result;
  }
  return result;
}

}  // namespace pythreads::report
