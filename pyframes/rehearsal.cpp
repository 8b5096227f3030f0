#include "pyframes/rehearsal.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "pyframes/futex_wait.h"
#include "pyframes/thread_names.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;

// Return addresses and saved registers of the innermost calls.
constexpr std::size_t stack_top_bytes = 512;

std::vector<std::byte> read_stack_top(attach::Memory& memory, std::optional<Address> sp) {
  std::vector<std::byte> bytes(sp ? stack_top_bytes : 0);
  if (sp) bytes.resize(memory.read_up_to(*sp, bytes));
  return bytes;
}

// Of a data stack's frames, what lies between two: local variables and the value stack. On the heap nothing
// tells whose it is.
std::uint64_t most_between(const RuntimeLayout& layout) {
  return layout.frame_style == FrameStyle::frame_objects ? 0 : 512;
}

// Target::threads is in the order of the tids, but for the leader, which is the first.
const attach::ThreadState* find_thread(const std::vector<attach::ThreadState>& threads, pid_t tid) {
  if (threads.empty()) return nullptr;
  if (threads.front().tid == tid) return &threads.front();
  const auto found =
      std::lower_bound(threads.begin() + 1, threads.end(), tid,
                       [](const attach::ThreadState& thread, pid_t wanted) { return thread.tid < wanted; });
  return found != threads.end() && found->tid == tid ? &*found : nullptr;
}

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool is_as_before(attach::Memory& memory, Address at, std::span<const std::byte> before) {
  std::array<std::byte, 4096> now;  // NOLINT: filled by the read
  while (!before.empty()) {
    const std::size_t size = std::min(before.size(), now.size());
    if (memory.read_up_to(at, std::span(now).first(size)) != size) return false;
    if (!equal(before.first(size), std::span(now).first(size))) return false;
    before = before.subspan(size);
    at = at + size;
  }
  return true;
}

}  // namespace

Rehearsal::Rehearsal(Reading&& reading, RuntimeCopy&& copy, const PyRuntimeState& state) {
  for (InterpreterCopy& interpreter : copy.interpreters) {
    for (ThreadCopy& from : interpreter.threads) {
      Thread thread;
      if (std::optional<std::vector<Frames>> frames = remember(reading, from.frames)) {
        thread.frames = *std::move(frames);
        thread.whole = from.frames_gap.empty();
      }
      if (from.os_thread != nullptr) {
        thread.tid = from.os_thread->tid;
        thread.sp = from.os_thread->sleeping_sp;
        thread.futex = futex_word(*from.os_thread);
        thread.stack_top = read_stack_top(reading.memory, thread.sp);
      }
      const Address at = from.tstate.at();
      thread.tstate = std::move(from.tstate);
      threads_.emplace(at, std::move(thread));
    }
  }
  for (const PyInterpreter& interpreter : state.interpreters) {
    for (const PyThread& thread : interpreter.threads) {
      if (thread.lock_wait) waited_for_.insert(thread.lock_wait->object);
    }
  }
  name_tables_ = heads_of_thread_tables(reading, copy);
  facts_ = std::move(reading.lasting_facts());
}

std::optional<std::vector<Rehearsal::Frames>> Rehearsal::remember(Reading& reading,
                                                                  const std::vector<FrameCopy>& frames) {
  std::vector<attach::Range> ranges;
  ranges.reserve(frames.size());
  for (const FrameCopy& frame : frames) ranges.push_back({frame.frame.at(), frame.frame.bytes().size()});
  std::sort(ranges.begin(), ranges.end(),
            [](const attach::Range& a, const attach::Range& b) { return a.begin < b.begin; });
  const std::uint64_t between = most_between(reading.layout());
  std::vector<Frames> kept;
  for (std::size_t i = 0; i < ranges.size();) {
    attach::Range whole = ranges[i];
    std::size_t next = i + 1;
    for (; next < ranges.size() && ranges[next].begin - whole.begin <= whole.size + between; ++next) {
      whole.size = std::max(whole.size, ranges[next].end() - whole.begin);
    }
    const std::size_t begin = frame_bytes_.size();
    frame_bytes_.resize(begin + whole.size);
    const std::size_t got = reading.memory.read_up_to(whole.begin, std::span(frame_bytes_).subspan(begin));
    if (got < ranges[i].size) return std::nullopt;
    // Where there is a hole between two, the frames before it.
    while (got < whole.size) whole.size = ranges[--next - 1].end() - whole.begin;
    frame_bytes_.resize(begin + whole.size);
    kept.push_back({whole.begin, begin, whole.size});
    i = next;
  }
  return kept;
}

void Rehearsal::give_facts(Reading& held) {
  held.lasting_facts() = std::move(facts_);
}

bool Rehearsal::has_moved(Reading& held, const Thread& before, const ThreadCopy& now) const {
  if (!before.whole || !equal(before.tstate.bytes(), now.tstate.bytes())) return true;
  if (before.tid != 0) {
    const attach::ThreadState* thread = find_thread(held.target.threads, before.tid);
    if (thread == nullptr || !before.sp || thread->stack_pointer() != before.sp) return true;
    if (futex_word(*thread) != before.futex) return true;
  }
  if (before.sp && !is_as_before(held.memory, *before.sp, before.stack_top)) return true;
  return !std::ranges::all_of(before.frames, [&](const Frames& frames) {
    return is_as_before(held.memory, frames.at, std::span(frame_bytes_).subspan(frames.begin, frames.size));
  });
}

bool Rehearsal::knows_names(Reading& held, const RuntimeCopy& copy) const {
  return heads_of_thread_tables(held, copy) == name_tables_;
}

void Rehearsal::leave_out_unmoved(Reading& held, RuntimeCopy& copy) const {
  for (InterpreterCopy& interpreter : copy.interpreters) {
    std::erase_if(interpreter.threads, [&](const ThreadCopy& thread) {
      const auto before = threads_.find(thread.tstate.at());
      return before != threads_.end() && !has_moved(held, before->second, thread);
    });
  }
}

bool Rehearsal::is_news(const PyRuntimeState& state) const {
  return std::ranges::any_of(state.interpreters, [&](const PyInterpreter& interpreter) {
    return std::ranges::any_of(interpreter.threads, [&](const PyThread& thread) {
      return thread.lock_wait && !waited_for_.contains(thread.lock_wait->object);
    });
  });
}

}  // namespace pythreads::pyframes
