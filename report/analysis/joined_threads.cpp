#include "report/analysis/joined_threads.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "report/analysis/shown_names.h"

namespace pythreads::report {

pid_t JoinedThread::tid() const {
  if (os != nullptr) return os->os.tid;
  return python != nullptr ? python->tid : 0;
}

const pyframes::PySyncObject* JoinedThread::slept_on() const {
  if (python == nullptr || runtime == nullptr || !python->lock_wait) return nullptr;
  return pyframes::find_sync_object(*runtime, python->lock_wait->object);
}

bool JoinedThread::held() const {
  return os != nullptr && os->os.is_held();
}

std::string JoinedThread::label() const {
  std::string name;
  if (python != nullptr) name = python->name;
  if (name.empty() && os != nullptr) name = os->os.os_name;
  std::string number = tid() == 0 ? "no tid" : "tid " + std::to_string(tid());
  return name.empty() ? "thread (" + number + ")" : '"' + shortened(name) + "\" (" + number + ')';
}

std::size_t count_runs(const pyframes::PyThread& thread) {
  const auto is_entry = [](const pyframes::PyFrame& frame) { return frame.entry; };
  const auto entries = std::count_if(thread.frames.begin(), thread.frames.end(), is_entry);
  const bool cut = !thread.frames.empty() && !thread.frames.back().entry;
  return static_cast<std::size_t>(entries) + (cut ? 1 : 0);
}

namespace {

void put_in_order(std::vector<JoinedThread>& states) {
  const auto place = [](const JoinedThread& each) {
    // No place: it runs nothing, or nothing is known; what runs stands first.
    return std::pair(each.python->stack_place.is_null(), each.python->stack_place);
  };
  std::stable_sort(states.begin(), states.end(),
                   [&](const JoinedThread& a, const JoinedThread& b) { return place(a) < place(b); });
  for (std::size_t i = 0; i < states.size(); ++i) {
    for (std::size_t j = 0; j < states.size(); ++j) {
      if (j < i) states[i].runs_above += count_runs(*states[j].python);
      if (j > i) states[i].runs_below += count_runs(*states[j].python);
    }
  }
}

}  // namespace

std::vector<JoinedThread> join_threads(const Snapshot& snapshot) {
  std::unordered_map<pid_t, std::vector<JoinedThread>> by_tid;
  std::vector<JoinedThread> lost;
  std::unordered_map<pid_t, const SnapshotThread*> known;
  for (const SnapshotThread& thread : snapshot.threads) known.emplace(thread.os.tid, &thread);

  for (const pyframes::PyInterpreter& interpreter : snapshot.runtime.interpreters) {
    for (const pyframes::PyThread& python : interpreter.threads) {
      const auto found = python.tid == 0 ? known.end() : known.find(python.tid);
      JoinedThread joined{snapshot.process.pid, nullptr, &python, &interpreter, &snapshot.runtime};
      if (found == known.end()) {
        lost.push_back(joined);
      } else {
        joined.os = found->second;
        by_tid[python.tid].push_back(joined);
      }
    }
  }

  for (auto& each : by_tid) {
    if (each.second.size() > 1) put_in_order(each.second);
  }

  std::vector<JoinedThread> threads;
  for (const SnapshotThread& thread : snapshot.threads) {
    const auto states = by_tid.find(thread.os.tid);
    if (states == by_tid.end()) {
      threads.push_back({snapshot.process.pid, &thread, nullptr, nullptr, &snapshot.runtime});
    } else {
      threads.insert(threads.end(), states->second.begin(), states->second.end());
      by_tid.erase(states);  // a tid listed twice must not print its states twice
    }
  }
  threads.insert(threads.end(), lost.begin(), lost.end());
  return threads;
}

}  // namespace pythreads::report
