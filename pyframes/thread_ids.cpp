#include "pyframes/thread_ids.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace pythreads::pyframes {
namespace {

using attach::Address;

using OsThreads = std::unordered_map<std::uint64_t, const attach::ThreadState*>;

constexpr std::uint64_t pthread_self_offset = 16;
constexpr std::uint64_t pthread_size_needed = attach::pthread_tid_offset + 4;

const attach::ThreadState* find(const OsThreads& threads, std::uint64_t key) {
  const auto found = threads.find(key);
  return found == threads.end() ? nullptr : found->second;
}

const attach::ThreadState* find_by_pthread(Reading& reading, const OsThreads& by_tid, std::uint64_t ident) {
  const Address at(ident);
  if (attach::pthread_points_to_itself) {
    const attach::Result<std::uint64_t> tcb = reading.memory.read_value<std::uint64_t>(at);
    const attach::Result<std::uint64_t> self =
        reading.memory.read_value<std::uint64_t>(at + pthread_self_offset);
    if (!tcb || !self || *tcb != ident || *self != ident) return nullptr;
  }
  const attach::Result<std::uint32_t> tid =
      reading.memory.read_value<std::uint32_t>(at + attach::pthread_tid_offset);
  return tid ? find(by_tid, *tid) : nullptr;
}

}  // namespace

void match_os_threads(Reading& reading, RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  OsThreads by_pthread;
  OsThreads by_namespace_tid;
  for (const attach::ThreadState& thread : reading.target.threads) {
    if (thread.registers && thread.registers->pthread_self != 0)
      by_pthread[thread.registers->pthread_self] = &thread;
    by_namespace_tid[static_cast<std::uint64_t>(thread.namespace_tid)] = &thread;
  }
  const bool registers_missing = by_pthread.size() < reading.target.threads.size();
  const bool has_native_id = layout.thread_state.native_thread_id.exists();

  if (registers_missing && !has_native_id) {
    std::vector<attach::Range> pthreads;
    for (const InterpreterCopy& interpreter : copy.interpreters) {
      for (const ThreadCopy& thread : interpreter.threads) {
        const std::uint64_t ident = thread.tstate.get(layout.thread_state.thread_id).value_or(0);
        if (ident != 0 && !find(by_pthread, ident)) pthreads.push_back({Address(ident), pthread_size_needed});
      }
    }
    reading.memory.prefetch(pthreads);
  }

  for (InterpreterCopy& interpreter : copy.interpreters) {
    // A thread that is gone may have left its state behind, and a new thread may have got its stack and so
    // its ident: then only the native id tells which of the two states is alive.
    std::unordered_map<const attach::ThreadState*, std::vector<ThreadCopy*>> claims;
    for (ThreadCopy& thread : interpreter.threads) {
      thread.os_thread = nullptr;
      thread.gone = false;
      const std::uint64_t ident = thread.tstate.get(layout.thread_state.thread_id).value_or(0);
      if (ident != 0) thread.os_thread = find(by_pthread, ident);
      if (!thread.os_thread && registers_missing) {
        const std::uint64_t native = thread.tstate.get(layout.thread_state.native_thread_id).value_or(0);
        const attach::ThreadState* found = nullptr;
        if (native != 0) {
          found = find(by_namespace_tid, native);
        } else if (!has_native_id && ident != 0) {
          found = find_by_pthread(reading, by_namespace_tid, ident);
        }
        // Its registers, where it has some, have said that it is another thread.
        if (found && !found->registers) thread.os_thread = found;
      }
      if (thread.os_thread) claims[thread.os_thread].push_back(&thread);
    }
    for (const auto& claim : claims) {
      const attach::ThreadState* os_thread = claim.first;
      const std::vector<ThreadCopy*>& claimants = claim.second;
      if (claimants.size() < 2) continue;
      const auto agrees = [&](const ThreadCopy* thread) {
        return thread->tstate.get(layout.thread_state.native_thread_id) ==
               static_cast<std::uint64_t>(os_thread->namespace_tid);
      };
      if (std::count_if(claimants.begin(), claimants.end(), agrees) != 1) continue;
      for (ThreadCopy* thread : claimants) {
        if (agrees(thread)) continue;
        thread->os_thread = nullptr;
        thread->gone = true;
      }
    }
  }
}

void read_thread_ids(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  const RuntimeLayout& layout = reading.layout();
  const std::uint64_t main_ident = copy.runtime.get(layout.runtime.main_thread).value_or(0);
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const InterpreterCopy& interpreter = copy.interpreters[i];
    PyInterpreter& interpreter_state = state.interpreters[i];
    for (std::size_t j = 0; j < std::min(interpreter.threads.size(), interpreter_state.threads.size()); ++j) {
      const ThreadCopy& from = interpreter.threads[j];
      PyThread& thread = interpreter_state.threads[j];
      const std::optional<std::uint64_t> ident = from.tstate.get(layout.thread_state.thread_id);
      if (ident) {
        thread.ident = *ident;
        thread.main = interpreter_state.main && *ident != 0 && *ident == main_ident;
      } else {
        thread.gaps.push_back("its ident could not be read");
      }
      const std::optional<std::uint64_t> native = from.tstate.get(layout.thread_state.native_thread_id);
      if (native && *native != 0) thread.native_thread_id = *native;
      thread.suspended = from.suspended;
      thread.stack_place = from.stack_place;
      if (from.os_thread) {
        thread.tid = from.os_thread->tid;
      } else {
        thread.gaps.push_back(from.os_thread_gap.empty()
                                  ? "no thread of the process belongs to its thread state"
                                  : "which thread runs it is not known: " + from.os_thread_gap);
      }
    }
  }
}

}  // namespace pythreads::pyframes
