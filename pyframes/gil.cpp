#include "pyframes/gil.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "pyframes/futex_wait.h"
#include "pyframes/hex.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;

// The GIL that an interpreter's threads take: its own or the one it shares (3.12 on), else the runtime's.
std::optional<Address> gil_address(const Reading& reading, const InterpreterCopy& interpreter) {
  const RuntimeLayout& layout = reading.layout();
  if (layout.interpreter.ceval_gil.exists())
    return interpreter.interpreter.pointer(layout.interpreter.ceval_gil);
  if (!layout.runtime.ceval_gil.exists()) return std::nullopt;
  return reading.runtime.address + static_cast<std::uint64_t>(layout.runtime.ceval_gil.offset);
}

// What of it is read, which is less than all, and need not lie in one struct (runtime_places.h).
std::vector<attach::Range> gil_parts(const RuntimeLayout& layout, Address gil) {
  std::vector<attach::Range> parts;
  const auto add = [&](auto field, std::uint64_t size) {
    if (field.exists()) parts.push_back({gil + static_cast<std::uint64_t>(field.offset), size});
  };
  add(layout.gil.enabled, sizeof(std::int32_t));
  add(layout.gil.last_holder, sizeof(std::uint64_t));
  add(layout.gil.locked, sizeof(std::int32_t));
  return parts;
}

enum class GilWord { none, cond, mutex, switch_cond, switch_mutex };

bool lies_in(Address gil, Field<char> field, std::int32_t size, Address word) {
  return field.exists() && size > 0 &&
         attach::Range{gil + static_cast<std::uint64_t>(field.offset), static_cast<std::uint64_t>(size)}
             .contains(word);
}

// musl's waiters sleep on no word of the condition: each has a `struct waiter` {prev, next, state, barrier,
// notify} on its own stack, listed from _c_head, and sleeps on its barrier. Where glibc has a count instead,
// no list leads to the word (musl src/thread/pthread_cond_timedwait.c, src/internal/pthread_impl.h).
bool is_listed_in(Reading& reading, Address gil, Field<char> cond, Address word) {
  constexpr std::uint64_t head_offset = 8, next_offset = 8, barrier_offset = 20;
  constexpr std::uint64_t lowest_pointer = 1 << 16;
  constexpr int most_waiters = 1024;
  if (!cond.exists()) return false;
  Address link = gil + static_cast<std::uint64_t>(cond.offset) + head_offset;
  for (int i = 0; i < most_waiters; ++i) {
    const attach::Result<Address> node = reading.memory.read_address(link);
    if (!node || node->value < lowest_pointer || node->value % 8 != 0) return false;
    if (*node + barrier_offset == word) return true;
    link = *node + next_offset;
  }
  return false;
}

GilWord find_gil_word(Reading& reading, Address gil, Address word) {
  const auto& of = reading.layout().gil;
  if (lies_in(gil, of.cond, of.cond_size, word)) return GilWord::cond;
  if (lies_in(gil, of.mutex, of.mutex_size, word)) return GilWord::mutex;
  if (lies_in(gil, of.switch_cond, of.cond_size, word)) return GilWord::switch_cond;
  if (lies_in(gil, of.switch_mutex, of.mutex_size, word)) return GilWord::switch_mutex;
  if (is_listed_in(reading, gil, of.cond, word)) return GilWord::cond;
  if (is_listed_in(reading, gil, of.switch_cond, word)) return GilWord::switch_cond;
  return GilWord::none;
}

std::string waiter_evidence(GilWord word, Address gil) {
  switch (word) {
    case GilWord::cond:
      return "it sleeps on the condition variable of the GIL at " + hex(gil);
    case GilWord::mutex:
      return "it sleeps on the mutex of the GIL at " + hex(gil);
    case GilWord::switch_cond:
    case GilWord::switch_mutex:
      return "it gave up the GIL at " + hex(gil) + " and sleeps until another thread has taken it";
    case GilWord::none:
      break;
  }
  return "";
}

// 3.15 on the thread state itself says so, also between two futex calls.
bool is_inside_take_gil(const RuntimeLayout& layout, const ThreadCopy& thread) {
  return thread.tstate.get(layout.thread_state.gil_requested).value_or(0) != 0;
}

struct Place {
  const ThreadCopy* copy = nullptr;
  PyThread* state = nullptr;
};

std::optional<Place> find_thread(const RuntimeCopy& copy, PyRuntimeState& state, Address tstate) {
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), state.interpreters[i].threads.size()); ++j) {
      if (threads[j].tstate.at() == tstate) return Place{&threads[j], &state.interpreters[i].threads[j]};
    }
  }
  return std::nullopt;
}

void read_gil_of(Reading& reading, const RuntimeCopy& copy, const InterpreterCopy& interpreter,
                 PyRuntimeState& state, PyInterpreter& interpreter_state) {
  const RuntimeLayout& layout = reading.layout();
  const std::optional<Address> address = gil_address(reading, interpreter);
  if (!address) {
    interpreter_state.gil_gap = layout.runtime_in_variables
                                    ? "its symbols, which alone tell where the GIL is, are stripped"
                                    : "the layout does not tell where the GIL is";
    return;
  }
  if (address->is_null()) {
    interpreter_state.gil_gap = "the interpreter has no GIL yet";
    return;
  }
  const attach::Result<StructCopy> fields =
      StructCopy::read_parts(reading.memory, *address, gil_parts(layout, *address));
  if (!fields) {
    interpreter_state.gil_gap = "the GIL could not be read: " + fields.error().message;
    return;
  }
  if (layout.gil.enabled.exists() && fields->get(layout.gil.enabled) == 0) return;
  const std::optional<std::int32_t> locked = fields->get(layout.gil.locked);
  const std::optional<Address> last_holder = fields->pointer(layout.gil.last_holder);
  if (!locked || !last_holder) {
    interpreter_state.gil_gap = "the layout does not tell who holds the GIL";
    return;
  }
  if (*locked < 0) {
    interpreter_state.gil_gap = "the GIL has not been made yet";
    return;
  }

  PyGil gil;
  gil.address = *address;
  gil.locked = *locked != 0;
  if (gil.locked) {
    gil.holder = *last_holder;
    const std::optional<Place> holder = find_thread(copy, state, gil.holder);
    if (holder) {
      PyThread& thread = *holder->state;
      thread.holds_gil = true;
      thread.gil_evidence =
          "the GIL at " + hex(gil.address) + " is locked and its last_holder is this thread state";
      if (holder->copy->os_thread) {
        gil.holder_tid = holder->copy->os_thread->tid;
        const std::optional<Address> word = futex_word(*holder->copy->os_thread);
        gil.handing_over = (word && find_gil_word(reading, gil.address, *word) != GilWord::none) ||
                           is_inside_take_gil(layout, *holder->copy);
        if (gil.handing_over)
          thread.gil_evidence += "; it was just handed over, the thread has not left take_gil yet";
      }
    } else {
      interpreter_state.gil_gap =
          "the GIL's holder " + hex(gil.holder) + " is not among the thread states that were read";
    }
  }
  interpreter_state.gil = gil;

  for (std::size_t j = 0; j < std::min(interpreter.threads.size(), interpreter_state.threads.size()); ++j) {
    PyThread& thread = interpreter_state.threads[j];
    const attach::ThreadState* os_thread = interpreter.threads[j].os_thread;
    if (!os_thread || interpreter.threads[j].suspended) continue;
    if (thread.holds_gil || os_thread->tid == gil.holder_tid) continue;
    const std::optional<Address> word = futex_word(*os_thread);
    const GilWord which = word ? find_gil_word(reading, gil.address, *word) : GilWord::none;
    if (which != GilWord::none) {
      thread.waits_for_gil = true;
      thread.takes_gil = which == GilWord::cond;  // the mutex is taken to give it up, too
      thread.gil_evidence = waiter_evidence(which, gil.address);
    } else if (is_inside_take_gil(layout, interpreter.threads[j])) {
      thread.waits_for_gil = thread.takes_gil = true;
      thread.gil_evidence = "its thread state has asked for the GIL at " + hex(gil.address);
    }
  }
}

}  // namespace

void fetch_gil(Reading& reading, const RuntimeCopy& copy) {
  std::vector<attach::Range> ranges;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    const std::optional<Address> address = gil_address(reading, interpreter);
    if (!address || address->is_null()) continue;
    const std::vector<attach::Range> parts = gil_parts(reading.layout(), *address);
    ranges.insert(ranges.end(), parts.begin(), parts.end());
  }
  reading.memory.prefetch(ranges);
}

void read_gil(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i)
    read_gil_of(reading, copy, copy.interpreters[i], state, state.interpreters[i]);
}

bool is_gil_word(Reading& reading, const RuntimeCopy& copy, Address word) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    const std::optional<Address> address = gil_address(reading, interpreter);
    if (address && find_gil_word(reading, *address, word) != GilWord::none) return true;
  }
  return false;
}

}  // namespace pythreads::pyframes
