#include "pyframes/suspended_holds.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>

#include "pyframes/asyncio_tasks.h"
#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/explicit_holds.h"
#include "pyframes/frame_slots.h"
#include "pyframes/hold_rules.h"
#include "pyframes/suspended_frames.h"
#include "pyframes/sync_objects.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_frames = 1000;      // of one thread
constexpr std::size_t max_slots = 256;        // of one frame
constexpr std::size_t max_objects = 20'000;   // that are looked at, all together
constexpr std::size_t max_generators = 4096;  // whose frames are read
constexpr int deepest = 16;                   // generators that wait for generators

// The frame's variables and value stack. `words` is the caller's, so that it is allocated once.
void read_words(Reading& reading, const FrameCopy& frame, std::vector<std::uint64_t>& words) {
  words.clear();
  const Result<FrameSize> size = frame_size(reading, frame.code);
  if (!size) return;
  const Range slots = frame_slots(reading.layout(), frame, *size);
  words.resize(std::min(static_cast<std::size_t>(slots.size / sizeof(std::uint64_t)), max_slots));
  if (!reading.memory.read(slots.begin, std::as_writable_bytes(std::span(words)))) words.clear();
}

std::vector<Address> objects_in(Reading& reading, const FrameCopy& frame) {
  std::vector<std::uint64_t> words;
  read_words(reading, frame, words);
  std::vector<Address> objects;
  for (const std::uint64_t word : words) {
    if (const std::optional<Address> object = referred_object(reading.layout(), word))
      objects.push_back(*object);
  }
  return objects;
}

// What is asked for again and again is let through about once.
class RecentAddresses {
 public:
  bool is_new(Address at) {
    Address& kept = kept_[(at.value >> 4 ^ at.value >> 14) % kept_.size()];
    return std::exchange(kept, at) != at;
  }

 private:
  std::array<Address, 4096> kept_{};
};

PyPlace place_of(Reading& reading, const FrameCopy& frame, int line) {
  if (reading.held || line == 0) return {};
  const Result<std::shared_ptr<const Code>> code = read_code(reading, frame.code);
  return code ? PyPlace{(*code)->file, line, (*code)->name} : PyPlace{};
}

class Suspended {
 public:
  Suspended(Reading& reading, const RuntimeCopy& copy, const PyRuntimeState& state,
            const std::set<Address>& wanted)
      : reading_(reading), copy_(copy), state_(state), wanted_(wanted) {}

  std::vector<SuspendedHold> run() {
    find_tasks();
    find_references();
    for (const Root& root : roots_) follow(root, root.generator, 0);
    doubt_shared();
    return std::move(found_);
  }

 private:
  struct Root {
    std::size_t interpreter = 0, thread = 0;
    std::optional<std::size_t> frame;
    Address generator;
  };
  using ThreadPlace = std::pair<std::size_t, std::size_t>;

  template <typename Visit>
  void for_each_frame(Visit visit) {
    for (std::size_t i = 0; i < copy_.interpreters.size(); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      for (std::size_t j = 0; j < threads.size(); ++j) {
        const std::size_t count = std::min(threads[j].frames.size(), max_frames);
        for (std::size_t k = 0; k < count; ++k) visit(Root{i, j, k, {}}, threads[j].frames[k]);
      }
    }
  }

  // In variables and on value stacks (what a `for` loop iterates over): which generators there are at all, in
  // one wave for all threads, and then whose they are.
  void find_references() {
    const std::unordered_set<Address> generators = find_generators();
    if (generators.empty()) return;
    for_each_frame([&](const Root& place, const FrameCopy& frame) {
      for (const Address object : objects_in(reading_, frame)) {
        if (!generators.contains(object)) continue;
        if (references_[{{place.interpreter, place.thread}, object}]++ == 0)
          roots_.push_back({place.interpreter, place.thread, place.frame, object});
      }
    });
  }

  std::unordered_set<Address> find_generators() {
    std::vector<Address> objects;
    std::vector<std::uint64_t> words;
    const auto recent = std::make_unique<RecentAddresses>();
    for_each_frame([&](const Root&, const FrameCopy& frame) {
      if (objects.size() >= max_objects) return;
      read_words(reading_, frame, words);
      for (const std::uint64_t word : words) {
        const std::optional<Address> object = referred_object(reading_.layout(), word);
        if (object && recent->is_new(*object)) objects.push_back(*object);
      }
    });
    std::sort(objects.begin(), objects.end());
    objects.erase(std::unique(objects.begin(), objects.end()), objects.end());
    const auto head = static_cast<std::uint64_t>(std::max(reading_.layout().object.size, 0));
    std::vector<Range> wave;
    for (const Address object : objects) wave.push_back({object, head});
    if (reading_.held) reading_.memory.prefetch(wave);
    std::unordered_set<Address> generators;
    for (const Address object : objects) {
      if (is_generator(reading_, object)) generators.insert(object);
    }
    return generators;
  }

  void find_tasks() {
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      const std::vector<PyThread>& states = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) {
        for (const PyFrameObject& each : states[j].frame_objects) {
          const PySyncObject* known = describe_sync_object(reading_, each.object);
          if (known == nullptr || known->kind != PySyncKind::event_loop) continue;
          for (const Address coroutine :
               task_coroutines(reading_, copy_.interpreters[i], threads[j], each.object))
            roots_.push_back({i, j, std::nullopt, coroutine});
        }
      }
    }
  }

  // A generator, and those that it waits for or has in its own variables.
  void follow(const Root& root, Address generator, int depth) {
    const ThreadPlace place{root.interpreter, root.thread};
    if (depth > deepest || looked_at_ > max_generators) return;
    if (!visited_.insert({place, generator}).second) return;
    ++looked_at_;
    const std::optional<FrameCopy> frame = suspended_frame(reading_, generator);
    if (!frame) return;
    for (ManagedLock& lock : locks_of_suspended(reading_, *frame)) {
      if (!wanted_.contains(lock.object)) continue;
      lock.rule = root.frame ? hold_rule::suspended_generator : hold_rule::suspended_task;
      lock.evidence = root.frame ? "a generator that one of its frames refers to is suspended inside of what "
                                   "keeps it"
                                 : "a task of the loop that it runs is suspended inside of what keeps it";
      by_generator_[generator].push_back(found_.size());
      found_.push_back({root.interpreter, root.thread, root.frame, std::move(lock),
                        root.frame ? root.generator : Address()});
    }
    for (const Address object : objects_in(reading_, *frame)) {
      if (is_generator(reading_, object)) follow(root, object, depth + 1);
    }
  }

  // Whoever drives a generator may be another who refers to it: a thread, or an object that a thread comes
  // to.
  void doubt_shared() {
    for (SuspendedHold& each : found_) {
      if (each.generator.is_null() || !is_referred_elsewhere(each)) continue;
      each.lock.trust = PyHoldTrust::likely;
      each.lock.evidence += "; something else refers to it, too";
    }
    for (const auto& [generator, holds] : by_generator_) {
      std::set<ThreadPlace> threads;
      for (const std::size_t each : holds) threads.insert({found_[each].interpreter, found_[each].thread});
      if (threads.size() < 2) continue;
      for (const std::size_t each : holds) {
        found_[each].lock.trust = PyHoldTrust::likely;
        found_[each].lock.evidence += "; other threads refer to it, too";
      }
    }
  }

  bool is_referred_elsewhere(const SuspendedHold& hold) {
    const auto field = reading_.layout().object.ob_refcnt;
    if (!field.exists()) return false;  // a free-threaded build counts in several places
    const Result<std::uint32_t> count =
        reading_.memory.read_value<std::uint32_t>(hold.generator + static_cast<std::uint64_t>(field.offset));
    const auto known = references_.find({{hold.interpreter, hold.thread}, hold.generator});
    return !count || known == references_.end() || *count > known->second;
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  const PyRuntimeState& state_;
  const std::set<Address>& wanted_;
  std::map<std::pair<ThreadPlace, Address>, std::uint32_t> references_;  // from a thread's frames
  std::vector<Root> roots_;
  std::set<std::pair<ThreadPlace, Address>> visited_;
  std::map<Address, std::vector<std::size_t>> by_generator_;
  std::vector<SuspendedHold> found_;
  std::size_t looked_at_ = 0;
};

int line_of(Reading& reading, Address code_at, std::int64_t instruction) {
  if (reading.held || instruction < 0) return 0;
  const Result<std::shared_ptr<const Code>> code = read_code(reading, code_at);
  if (!code) return 0;
  return find_position(reading.layout().line_table, (*code)->line_table, (*code)->first_line, instruction)
      .line;
}

// The locks that the code names beside acquire or release.
std::set<Address> named_locks(Reading& reading, const FrameCopy& frame) {
  std::set<Address> named;
  const std::shared_ptr<const std::vector<MethodCall>> calls = method_calls(reading, frame.code);
  if (!calls) return named;
  for (const MethodCall& call : *calls) {
    if (call.method != "acquire" && call.method != "release") continue;
    const std::optional<Address> object = evaluate(reading, frame, call.object);
    if (!object) continue;
    const Address lock = lock_behind(reading, *object);
    if (describe_sync_object(reading, lock) != nullptr) named.insert(lock);
  }
  return named;
}

}  // namespace

std::vector<SuspendedHold> suspended_holds(Reading& reading, const RuntimeCopy& copy,
                                           const PyRuntimeState& state, const std::set<Address>& wanted) {
  return Suspended(reading, copy, state, wanted).run();
}

std::vector<ManagedLock> locks_of_suspended(Reading& reading, const FrameCopy& frame, int depth) {
  std::vector<ManagedLock> held;
  for (const OpenWith& open : open_with_blocks(reading, frame)) {
    for (ManagedLock& lock : locks_of_manager(reading, open.manager, depth)) {
      if (is_released_inside(reading, frame, lock.object, open)) lock.trust = PyHoldTrust::likely;
      if (lock.taken.line == 0) lock.taken = place_of(reading, frame, open.line);
      held.push_back(std::move(lock));
    }
  }
  for (const ExplicitHold& each : explicit_holds(reading, frame, named_locks(reading, frame))) {
    const bool known = std::any_of(held.begin(), held.end(),
                                   [&](const ManagedLock& lock) { return lock.object == each.lock.object; });
    if (known) continue;
    held.push_back(each.lock);
    held.back().taken = place_of(reading, frame, line_of(reading, frame.code, each.taken));
  }
  for (ManagedLock& lock : held) lock.trust = std::max(lock.trust, PyHoldTrust::inferred);
  return held;
}

}  // namespace pythreads::pyframes
