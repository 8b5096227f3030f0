#include "attach/held_threads.h"

#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "attach/kernel_wait.h"

namespace pythreads::attach {
namespace {

constexpr std::uint64_t all_stacks = 64 * 1024 * 1024;  // of all threads together
constexpr std::uint64_t least_stack = 16 * 1024;
// Where a sleeper's stack ends is not known exactly: it may be in one mapping with others.
constexpr std::uint64_t most_of_sleeper = 64 * 1024;
// Before the time is looked at.
constexpr std::size_t stacks_at_once = 64;
// What the Python side compares to know whether a thread has moved.
constexpr std::uint64_t stack_top = red_zone + 512;

// glibc and musl put a thread's control block, which pthread_self() is, above its stack in the same mapping.
// What follows it may be the next thread's guard pages and stack: from glibc 2.42 on they are one mapping.
Address stack_end(const Mapping& mapping, const Registers& registers) {
  const Address control_block(registers.pthread_self != 0 ? registers.pthread_self
                                                          : registers.thread_pointer);
  const bool above = control_block > registers.sp() && mapping.range.contains(control_block);
  return above ? control_block : mapping.range.end();
}

std::uint64_t most_of_each(std::uint64_t stack_bytes, const Target& target) {
  const std::uint64_t threads = std::max<std::uint64_t>(1, target.threads.size());
  return std::min(stack_bytes, std::max(least_stack, all_stacks / threads));
}

}  // namespace

void take_stopped(std::vector<StoppedThread>& stopped, Target& target) {
  const pid_t pid = target.process.pid;
  std::unordered_map<pid_t, std::size_t> index;
  index.reserve(target.threads.size());
  for (std::size_t i = 0; i < target.threads.size(); ++i) index.emplace(target.threads[i].tid, i);
  const std::size_t known = target.threads.size();
  for (StoppedThread& one : stopped) {
    const auto found = index.find(one.tid);
    if (found == index.end()) {
      target.threads.emplace_back().tid = one.tid;
      target.threads.back().namespace_tid = one.tid;
    }
    ThreadState& thread = found == index.end() ? target.threads.back() : target.threads[found->second];
    thread.outcome = one.outcome;
    thread.registers = one.registers;
    // What its files said before is not what it does now: it waits for nothing any more.
    if (one.outcome == StopOutcome::exited) {
      thread.state = 'X';
      thread.kernel_wait.reset();
      thread.sleeping_sp.reset();
    }
    if (!one.gap.empty()) thread.gap = std::move(one.gap);
  }
  if (target.threads.size() > known) {
    std::sort(target.threads.begin(), target.threads.end(),
              [pid](const ThreadState& a, const ThreadState& b) {
                return std::pair(a.tid != pid, a.tid) < std::pair(b.tid != pid, b.tid);
              });
  }
}

void copy_stacks(std::uint64_t stack_bytes, const PageCache& pages, Target& target) {
  const std::uint64_t most = most_of_each(stack_bytes, target);
  std::vector<Range> stacks;
  for (ThreadState& thread : target.threads) {
    if (!thread.registers) continue;
    const Address sp = thread.registers->sp();
    const Mapping* mapping = find_mapping(target.mappings, sp);
    if (mapping == nullptr || !mapping->readable) {
      thread.gap = "its stack pointer is in no readable mapping";
      continue;
    }
    const Address begin = sp - std::min(red_zone, sp - mapping->range.begin);
    thread.stack = Range{begin, std::min(most, stack_end(*mapping, *thread.registers) - begin)};
    if (pages.kept(begin, thread.stack.size) < thread.stack.size) stacks.push_back(thread.stack);
  }
  if (stacks.empty()) return;
  std::span<const Range> left(stacks);
  while (!left.empty() && target.memory->begin(HeldPart::stacks)) {
    target.memory->prefetch(left.first(std::min(stacks_at_once, left.size())));
    left = left.subspan(std::min(stacks_at_once, left.size()));
  }
  const bool given_up = pages.is_given_up(HeldPart::stacks);
  for (ThreadState& thread : target.threads) {
    const std::uint64_t kept = pages.kept(thread.stack.begin, thread.stack.size);
    if (kept < thread.stack.size) {
      thread.gap = given_up ? "the pause budget left no time to read its stack"
                            : "its stack could be read only in part";
      thread.stack.size = kept;
    }
  }
}

void copy_sleepers_stacks(std::uint64_t stack_bytes, PageCache& pages, Target& target) {
  const std::uint64_t most = std::min(most_of_sleeper, most_of_each(stack_bytes, target));
  std::vector<Range> tops, stacks, left_to_the_stop;
  for (ThreadState& thread : target.threads) {
    const Mapping* mapping =
        thread.sleeping_sp ? find_mapping(target.mappings, *thread.sleeping_sp) : nullptr;
    if (mapping == nullptr || !mapping->readable) continue;
    const Address sp = *thread.sleeping_sp;
    const Address begin = sp - std::min(red_zone, sp - mapping->range.begin);
    thread.stack = Range{begin, std::min(most, mapping->range.end() - begin)};
    tops.push_back({begin, std::min(stack_top, thread.stack.size)});
    (waits_outside(thread) ? left_to_the_stop : stacks)
        .push_back({begin + tops.back().size, thread.stack.size - tops.back().size});
  }
  pages.note_unread(left_to_the_stop, HeldPart::stacks);
  target.memory->prefetch(tops);
  target.memory->begin(HeldPart::stacks);
  target.memory->prefetch(stacks);
  target.memory->begin(HeldPart::words);
}

void decode_waits(Target& target, StopReport& report) {
  std::vector<Range> codes;
  if (call_is_told_by_code) {
    for (const ThreadState& thread : target.threads) {
      if (thread.registers) codes.push_back(call_code(*thread.registers));
    }
    target.memory->prefetch(codes);
    codes.clear();
  }
  std::vector<ThreadState*> restarted;
  for (ThreadState& thread : target.threads) {
    if (thread.registers) {
      std::optional<Disturbance> disturbance;
      if (thread.outcome == StopOutcome::held)
        disturbance = find_disturbance(thread.tid, *thread.registers, thread.kernel_wait, *target.memory);
      thread.kernel_wait =
          wait_from_registers(*thread.registers, thread.kernel_wait, *target.memory, disturbance);
      if (disturbance) report.disturbed.push_back(std::move(*disturbance));
    }
    if (thread.kernel_wait && thread.kernel_wait->number == SYS_restart_syscall) {
      restarted.push_back(&thread);
      if (thread.registers) {
        codes.push_back(call_code(*thread.registers));
      }
    }
  }
  target.memory->prefetch(codes);
  for (ThreadState* thread : restarted) {
    std::array<std::byte, restart_code_bytes> code{};
    std::size_t got = 0;
    if (thread->registers) {
      got = target.memory->read_up_to(thread->registers->pc() - restart_code_bytes, code);
    }
    resolve_restart(*thread->kernel_wait, thread->wait_channel, std::span(code).first(got));
  }
}

}  // namespace pythreads::attach
