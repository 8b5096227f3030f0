#include "pyframes/locks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pyframes/frame_slots.h"
#include "pyframes/futex_wait.h"
#include "pyframes/gil.h"
#include "pyframes/hex.h"
#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

// Of the C stack, from the stack pointer up: the lock was found within 35 words on every build tried; the
// second look is for deep C code (a lock inside print's buffer).
constexpr std::size_t first_stack_words = 64;
constexpr std::size_t all_stack_words = 512;
constexpr std::size_t max_value_stack = 512;
constexpr std::size_t max_variables = 256;
constexpr std::uint64_t candidate_bytes = 48;
constexpr int max_bases = 32;

// What a type is, as far as locks go.
struct TypeFact {
  const LockLayout* lock = nullptr;
  bool unknown_lock = false;  // a lock type of a size that no table has
  PointerField bound_self;    // a bound method: where its self is
};

// Where an object was met, in the rule's word and in the sentence.
struct Place {
  const char* rule = "";
  const char* words = "";
};
constexpr Place on_value_stack{"semaphore-on-value-stack",
                               "on the value stack of its innermost Python frame"};
constexpr Place in_variable{"semaphore-in-variable", "in a variable of its innermost Python frame"};
constexpr Place on_c_stack{"semaphore-on-c-stack", "on its C stack"};

struct Candidate {
  Address object;
  const Place* place = nullptr;
};

// One blocked thread, and how far the search for its lock has come.
struct Sleeper {
  const ThreadCopy* thread = nullptr;
  PyThread* state = nullptr;  // null while held
  Address word;
  std::optional<PyLockWait> found;
  bool parked = false;  // the word is on its own stack: no semaphore of a lock object
  bool unknown_lock = false;
};

class LockSearch {
 public:
  LockSearch(Reading& reading, const RuntimeCopy& copy) : reading_(reading), copy_(copy) {}

  std::map<Address, PySyncObject>& objects() { return objects_; }

  std::vector<Sleeper> run(PyRuntimeState* state) {
    find_sleepers(state);
    find_parked();
    search(&LockSearch::frame_candidates);
    search(&LockSearch::near_stack_candidates);
    search(&LockSearch::far_stack_candidates);
    return std::move(sleepers_);
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  std::uint64_t head() const { return static_cast<std::uint64_t>(layout().object.size); }

  void find_sleepers(PyRuntimeState* state) {
    for (std::size_t i = 0; i < copy_.interpreters.size(); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      for (std::size_t j = 0; j < threads.size(); ++j) {
        if (!threads[j].os_thread) continue;
        const std::optional<Address> word = futex_word(*threads[j].os_thread);
        if (!word || is_gil_word(reading_, copy_, *word)) continue;
        Sleeper sleeper;
        sleeper.thread = &threads[j];
        sleeper.word = *word;
        if (state && i < state->interpreters.size() && j < state->interpreters[i].threads.size())
          sleeper.state = &state->interpreters[i].threads[j];
        sleepers_.push_back(std::move(sleeper));
      }
    }
  }

  // ---- types

  TypeFact type_fact(Address type) {
    const auto known = type_facts_.find(type);
    if (known != type_facts_.end()) return known->second;
    TypeFact fact;
    Address at = type;
    for (int depth = 0; depth < max_bases && !at.is_null(); ++depth) {
      const Result<std::string> name = type_name(layout(), reading_.memory, at);
      if (!name) break;
      fact.bound_self = bound_self_field(layout(), *name);
      if (fact.bound_self.exists()) break;
      if (is_lock_type_name(*name)) {
        const Result<std::int64_t> size = type_basicsize(layout(), reading_.memory, at);
        if (size) fact.lock = find_lock_layout(*name, *size - layout().object.size);
        fact.unknown_lock = fact.lock == nullptr;
      } else {
        const Result<Address> base = reading_.memory.read_address(
            at + static_cast<std::uint64_t>(std::max(layout().type.tp_base.offset, 0)));
        if (!base || !layout().type.tp_base.exists()) break;
        at = *base;
        continue;
      }
      break;
    }
    type_facts_.emplace(type, fact);
    return fact;
  }

  TypeFact object_fact(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    return type && !type->is_null() ? type_fact(*type) : TypeFact{};
  }

  // ---- a lock object

  template <typename T>
  std::optional<T> lock_field(Address object, Field<T> field) {
    if (!field.exists()) return std::nullopt;
    const Result<T> value =
        reading_.memory.read_value<T>(object + head() + static_cast<std::uint64_t>(field.offset));
    if (!value) return std::nullopt;
    return *value;
  }

  PySyncObject describe(Address object, const LockLayout& lock) {
    PySyncObject described;
    described.kind = lock.kind;
    described.address = object;
    described.type_name = lock.type_name;
    described.owner_field = lock.owner.exists();
    const std::optional<std::uint64_t> count = lock_field(object, lock.count);
    if (const std::optional<std::uint8_t> mutex = lock_field(object, lock.mutex)) {
      described.locked = (*mutex & 1) != 0;
    } else if (const std::optional<std::uint8_t> locked = lock_field(object, lock.locked)) {
      described.locked = *locked != 0;
    } else {
      described.locked = count && *count > 0;
    }
    if (lock.owner.exists() && *described.locked && count) {
      const std::optional<std::uint64_t> owner = lock_field(object, lock.owner);
      described.count = static_cast<std::int64_t>(*count + lock.count_bias);
      if (owner && *owner != 0) described.owner_ident = *owner;
    }
    return described;
  }

  void found(Sleeper& sleeper, PySyncObject object, Address word, std::string rule, std::string evidence) {
    sleeper.found = PyLockWait{object.address, word, std::move(rule), std::move(evidence)};
    objects_.insert_or_assign(object.address, std::move(object));
  }

  static std::string type_words(const LockLayout& lock) { return std::string(lock.type_name); }

  // ---- parked threads

  void find_parked() {
    if (!layout().wait_entry.addr.exists()) return;
    for (Sleeper& sleeper : sleepers_) find_parked(sleeper);
  }

  void find_parked(Sleeper& sleeper) {
    const auto& fields = layout().wait_entry;
    const attach::ThreadState& thread = *sleeper.thread->os_thread;
    if (!thread.stack.contains(sleeper.word) || !fields.sema.exists()) return;
    sleeper.parked = true;
    const Address entry = sleeper.word - static_cast<std::uint64_t>(fields.sema.offset);
    const Result<StructCopy> copy = StructCopy::read(reading_.memory, entry, fields.size);
    if (!copy) return;
    const std::optional<Address> next = copy->pointer(fields.next);
    const std::optional<Address> prev = copy->pointer(fields.prev);
    const std::optional<Address> addr = copy->pointer(fields.addr);
    if (!next || !prev || !addr) return;
    // In its bucket's list: the neighbours point back. A thread that was just unparked is in none.
    const Address node = entry + static_cast<std::uint64_t>(fields.next.offset);
    const auto distance = static_cast<std::uint64_t>(fields.prev.offset - fields.next.offset);
    const Result<Address> next_back = reading_.memory.read_address(*next + distance);
    const Result<Address> prev_forth = reading_.memory.read_address(*prev);
    if (!next_back || !prev_forth || *next_back != node || *prev_forth != node) return;
    const Address object = *addr - head();
    const TypeFact fact = object_fact(object);
    sleeper.unknown_lock = fact.unknown_lock;
    if (!fact.lock || !fact.lock->mutex.exists() || fact.lock->mutex.offset != 0) return;
    found(sleeper, describe(object, *fact.lock), *addr, "parking-lot",
          "it is parked on the address " + hex(*addr) + ", which is the mutex inside the " +
              type_words(*fact.lock) + " at " + hex(object));
  }

  // ---- threads on a semaphore

  std::vector<Candidate> frame_candidates(const Sleeper& sleeper) {
    std::vector<Candidate> candidates;
    if (sleeper.thread->frames.empty()) return candidates;
    const FrameCopy& frame = sleeper.thread->frames.front();
    const Result<FrameSize> size = frame_size(reading_, frame.code);
    if (!size) return candidates;
    const attach::Range slots = frame_slots(layout(), frame, *size);
    const auto append = [&](std::size_t first, std::size_t count, const Place& place) {
      const Result<std::vector<std::uint64_t>> words = read_slots(reading_, slots, first, count);
      if (!words) return;
      for (const std::uint64_t word : *words) {
        const std::optional<Address> object = referred_object(layout(), word);
        if (object) candidates.push_back({*object, &place});
      }
    };
    append(size->variables, std::min(size->value_stack, max_value_stack), on_value_stack);
    append(0, std::min(size->variables, max_variables), in_variable);
    return candidates;
  }

  std::vector<Candidate> stack_candidates(const Sleeper& sleeper, std::size_t first, std::size_t end) {
    std::vector<Candidate> candidates;
    const attach::ThreadState& thread = *sleeper.thread->os_thread;
    if (!thread.registers || thread.registers->rsp % 8 != 0) return candidates;
    std::vector<std::uint64_t> words(end - first);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(words));
    const std::size_t got =
        reading_.memory.read_up_to(Address(thread.registers->rsp) + first * sizeof(std::uint64_t), bytes);
    words.resize(std::min(got, bytes.size()) / sizeof(std::uint64_t));
    for (const std::uint64_t word : words) {
      // Neither inside the stack itself nor what no object's address can be.
      if (word % 8 != 0 || word < 4096 || word >> 47 != 0 || thread.stack.contains(Address(word))) continue;
      candidates.push_back({Address(word), &on_c_stack});
    }
    return candidates;
  }
  std::vector<Candidate> near_stack_candidates(const Sleeper& sleeper) {
    return stack_candidates(sleeper, 0, first_stack_words);
  }
  std::vector<Candidate> far_stack_candidates(const Sleeper& sleeper) {
    return stack_candidates(sleeper, first_stack_words, all_stack_words);
  }

  // Objects lie in memory that can be written; most words of a C stack don't lead there.
  bool may_be_object(Address at) const {
    const std::vector<attach::Mapping>& mappings = reading_.target.mappings;
    const auto after = std::upper_bound(
        mappings.begin(), mappings.end(), at,
        [](Address address, const attach::Mapping& mapping) { return address < mapping.range.begin; });
    if (after == mappings.begin()) return mappings.empty();
    const attach::Mapping& mapping = *(after - 1);
    return mapping.range.contains(at) && mapping.readable && mapping.writable;
  }

  // For all sleepers at once: gather, touch, then look.
  void search(std::vector<Candidate> (LockSearch::*gather)(const Sleeper&)) {
    std::vector<std::pair<Sleeper*, std::vector<Candidate>>> searches;
    std::vector<attach::Range> wave;
    for (Sleeper& sleeper : sleepers_) {
      if (sleeper.found || sleeper.parked) continue;
      std::vector<Candidate> candidates = (this->*gather)(sleeper);
      std::erase_if(candidates, [&](const Candidate& candidate) {
        return !may_be_object(candidate.object) || !may_be_object(candidate.object + candidate_bytes);
      });
      for (const Candidate& candidate : candidates) wave.push_back({candidate.object, candidate_bytes});
      if (!candidates.empty()) searches.emplace_back(&sleeper, std::move(candidates));
    }
    reading_.memory.prefetch(wave);
    for (auto& [sleeper, candidates] : searches) {
      for (const Candidate& candidate : candidates) {
        if (try_candidate(*sleeper, candidate.object, *candidate.place, false)) break;
        const TypeFact fact = object_fact(candidate.object);
        if (!fact.bound_self.exists()) continue;
        const Result<Address> self = reading_.memory.read_address(
            candidate.object + static_cast<std::uint64_t>(fact.bound_self.offset));
        if (self && !self->is_null() && try_candidate(*sleeper, *self, *candidate.place, true)) break;
      }
    }
  }

  bool try_candidate(Sleeper& sleeper, Address object, const Place& place, bool bound) {
    // Its pointer first: almost no object passes, and one word is cheaper than a type.
    const Result<Address> semaphore = reading_.memory.read_address(object + head());
    if (!semaphore || *semaphore != sleeper.word) return false;
    const TypeFact fact = object_fact(object);
    if (fact.unknown_lock) sleeper.unknown_lock = true;
    if (!fact.lock || fact.lock->semaphore.offset != 0) return false;
    found(sleeper, describe(object, *fact.lock), sleeper.word, place.rule,
          "it sleeps on the semaphore " + hex(sleeper.word) + ", which is that of the " +
              type_words(*fact.lock) + " at " + hex(object) + ", found " +
              (bound ? "as the self of a bound method " : "") + place.words);
    return true;
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  std::vector<Sleeper> sleepers_;
  std::unordered_map<Address, TypeFact> type_facts_;
  std::map<Address, PySyncObject> objects_;
};

}  // namespace

std::vector<PySyncObject> fetch_locks(Reading& reading, const RuntimeCopy& copy) {
  // The code objects and slots of the innermost frames, and the stacks, for all sleepers at once; the search
  // itself then touches the candidates.
  const RuntimeLayout& layout = reading.layout();
  std::vector<attach::Range> wave;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      if (!thread.os_thread || !futex_word(*thread.os_thread) || thread.frames.empty()) continue;
      wave.push_back({thread.frames.front().code, static_cast<std::uint64_t>(std::max(layout.code.size, 0))});
      if (thread.os_thread->registers)
        wave.push_back({Address(thread.os_thread->registers->rsp), all_stack_words * sizeof(std::uint64_t)});
    }
  }
  reading.memory.prefetch(wave);
  LockSearch search(reading, copy);
  static_cast<void>(search.run(nullptr));
  std::vector<PySyncObject> objects;
  for (auto& [address, object] : search.objects()) objects.push_back(std::move(object));
  return objects;
}

void read_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  LockSearch search(reading, copy);
  for (Sleeper& sleeper : search.run(&state)) {
    if (!sleeper.state) continue;
    if (sleeper.found) {
      sleeper.state->lock_wait = std::move(sleeper.found);
    } else if (sleeper.unknown_lock) {
      sleeper.state->gaps.push_back("it waits for a lock object of a layout that is not known");
    }
  }
  for (auto& [address, object] : search.objects()) state.sync_objects.push_back(std::move(object));
}

}  // namespace pythreads::pyframes
