#include "report/analysis/standstill.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pythreads::report {
namespace {

// Kinds of waits that only a thread of the same process ends.
constexpr std::array<std::string_view, 15> inside{
    "lock",       "rlock",  "condition", "event",  "semaphore", "barrier",  "queue-get", "queue-put",
    "queue-join", "future", "join",      "import", "handle",    "shutdown", "idle"};

bool waits_inside(const ThreadFinding& thread) {
  return thread.wait && thread.wait->timeout == std::optional(false) &&
         std::find(inside.begin(), inside.end(), thread.wait->kind) != inside.end();
}

// A library's worker that is parked: it is not known to ever call into Python.
bool is_parked(const JoinedThread& thread, const ThreadFinding& finding) {
  if (thread.os == nullptr || !thread.os->os.kernel_wait || !finding.wait) return false;
  return thread.os->os.futex.has_value() && finding.wait->timeout == std::optional(false);
}

}  // namespace

bool anybody_runs(const JudgedProcess& process) {
  return std::any_of(process.findings->threads.begin(), process.findings->threads.end(),
                     [](const ThreadFinding& each) { return each.status == Status::running; });
}

bool is_outside(const ThreadFinding& thread) {
  return thread.status == Status::waiting && thread.wait && !thread.wait->resource;
}

bool is_woken(const JoinedThread& thread) {
  const pyframes::PySyncObject* object = thread.slept_on();
  if (object == nullptr || object->locked != std::optional(false)) return false;
  return object->kind == pyframes::PySyncKind::lock || object->kind == pyframes::PySyncKind::rlock;
}

bool is_standstill(const JudgedProcess& process, Considered considered) {
  for (const pyframes::PyInterpreter& interpreter : process.snapshot->runtime.interpreters) {
    if (!interpreter.threads_gap.empty()) return false;
  }
  bool any = false;
  for (std::size_t i = 0; i < process.findings->threads.size(); ++i) {
    const ThreadFinding& finding = process.findings->threads[i];
    const JoinedThread& thread = process.threads[i];
    if (!thread.held()) return false;
    if (thread.python == nullptr) {
      if (!is_parked(thread, finding)) return false;
      continue;
    }
    if (considered == Considered::all_but_daemons && thread.python->daemon.value_or(false)) continue;
    if (!waits_inside(finding) || is_woken(thread)) return false;
    any = true;
  }
  return any;
}

}  // namespace pythreads::report
