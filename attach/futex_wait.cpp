#include "attach/futex_wait.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <span>
#include <vector>

#include "attach/c_library.h"

namespace pythreads::attach {
namespace {

#ifndef FUTEX_LOCK_PI2
constexpr int lock_pi2 = 13;  // linux/futex.h from 5.14 on
#else
constexpr int lock_pi2 = FUTEX_LOCK_PI2;
#endif

// A pthread_rwlock_t begins 12 bytes before its second word and is 56 long; a mutex is 40.
constexpr std::uint64_t before_word = 32;
constexpr std::uint64_t around_bytes = 96;
constexpr std::uint64_t lowest_word = 4096;

struct Limit {
  std::int64_t seconds = 0, nanoseconds = 0;
};

std::chrono::nanoseconds clock_now(clockid_t clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

int operation_of(const KernelWait& wait) {
  return static_cast<int>(wait.arguments[1]);
}

bool is_wait(const ThreadState& thread) {
  if (!thread.kernel_wait || thread.kernel_wait->number != SYS_futex) return false;
  const int command = operation_of(*thread.kernel_wait) & FUTEX_CMD_MASK;
  return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI ||
         command == lock_pi2;
}

Range range_around(Address word) {
  const Address begin = word - std::min(before_word, word.value);
  return {begin, around_bytes};
}

std::optional<double> ends_in_ms(const KernelWait& wait, Memory& memory, const StopClocks& now) {
  const int operation = operation_of(wait);
  const int command = operation & FUTEX_CMD_MASK;
  const Address at(wait.arguments[3]);
  if (at.is_null() || command == FUTEX_WAIT) return std::nullopt;
  const Result<Limit> limit = memory.read_value<Limit>(at);
  constexpr std::int64_t most_seconds = 1LL << 33;  // a year 2242; later ones are limits for show
  if (!limit || limit->seconds < 0 || limit->seconds > most_seconds || limit->nanoseconds < 0 ||
      limit->nanoseconds >= 1'000'000'000) {
    return std::nullopt;
  }
  const bool realtime = command == FUTEX_LOCK_PI || (operation & FUTEX_CLOCK_REALTIME) != 0;
  const std::chrono::nanoseconds left = std::chrono::seconds(limit->seconds) +
                                        std::chrono::nanoseconds(limit->nanoseconds) -
                                        (realtime ? now.realtime : now.monotonic);
  return std::max(0.0, std::chrono::duration<double, std::milli>(left).count());
}

// Empty for anonymous memory and for what the kernel names in brackets.
std::string file_of(const std::vector<Mapping>& mappings, Address word) {
  const Mapping* mapping = find_mapping(mappings, word);
  return mapping != nullptr && mapping->path.starts_with('/') ? mapping->path : "";
}

// Without the bytes around them where nobody knows what these would mean.
void read_words(Target& target, const StopClocks& now, bool with_surroundings) {
  for (ThreadState& thread : target.threads) {
    if (!is_wait(thread)) continue;
    FutexWait& futex = thread.futex.emplace();
    futex.word = Address(thread.kernel_wait->arguments[0]);
    futex.shared = (operation_of(*thread.kernel_wait) & FUTEX_PRIVATE_FLAG) == 0;
    if (futex.word.value < lowest_word) continue;
    futex.ends_in_ms = ends_in_ms(*thread.kernel_wait, *target.memory, now);
    futex.mapping = file_of(target.mappings, futex.word);
    if (!with_surroundings) continue;
    // Where the word is the first of its mapping, what lies before it can't be read.
    Range around = range_around(futex.word);
    std::array<std::byte, around_bytes> bytes{};
    std::size_t got = target.memory->read_up_to(around.begin, bytes);
    if (got <= futex.word - around.begin) {
      around = {futex.word, around_bytes - before_word};
      got = target.memory->read_up_to(around.begin, std::span(bytes).first(around.size));
    }
    futex.around_begin = around.begin;
    futex.around.assign(bytes.begin(),
                        bytes.begin() + static_cast<std::ptrdiff_t>(std::min(got, bytes.size())));
  }
}

}  // namespace

StopClocks read_clocks() {
  return {clock_now(CLOCK_REALTIME), clock_now(CLOCK_MONOTONIC)};
}

void fetch_futexes(Target& target) {
  std::vector<Range> wave;
  for (const ThreadState& thread : target.threads) {
    if (!is_wait(thread)) continue;
    const Address word(thread.kernel_wait->arguments[0]);
    if (word.value < lowest_word) continue;
    wave.push_back(range_around(word));
    if (thread.kernel_wait->arguments[3] != 0)
      wave.push_back({Address(thread.kernel_wait->arguments[3]), sizeof(Limit)});
  }
  if (wave.empty()) return;
  add_thread_heads(target, wave);
  target.memory->prefetch(wave);
}

void read_futexes(Target& target, const StopClocks& now) {
  const bool any = std::any_of(target.threads.begin(), target.threads.end(), is_wait);
  read_words(target, now, any && is_glibc(target));
}

}  // namespace pythreads::attach
