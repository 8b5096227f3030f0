#include "pyframes/locks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pyframes/critical_sections.h"
#include "pyframes/frame_slots.h"
#include "pyframes/futex_wait.h"
#include "pyframes/gil.h"
#include "pyframes/hex.h"
#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"
#include "pyframes/world_stop.h"

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
constexpr std::size_t generic_stack_words = 64;  // of the C stack, for objects of any type
constexpr std::int64_t max_object = 2048;        // bytes of a C object that are looked through

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
  const InterpreterCopy* interpreter = nullptr;
  const ThreadCopy* thread = nullptr;
  PyThread* state = nullptr;
  Address word;
  std::optional<PyLockWait> found;
  bool parked = false;               // the word is on its own stack: no semaphore of a lock object
  std::optional<Address> parked_on;  // and what the parking lot keeps it for
  bool unknown_lock = false;
};

class LockSearch {
 public:
  LockSearch(Reading& reading, const RuntimeCopy& copy) : reading_(reading), copy_(copy) {}

  std::vector<Sleeper> run(PyRuntimeState& state) {
    find_sleepers(state);
    find_parked();
    search(&LockSearch::frame_candidates, false);
    search(&LockSearch::near_stack_candidates, false);
    search(&LockSearch::far_stack_candidates, false);
    search(&LockSearch::frame_candidates, true);
    search(&LockSearch::generic_stack_candidates, true);
    find_bare_mutexes();
    return std::move(sleepers_);
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  std::uint64_t head() const { return static_cast<std::uint64_t>(layout().object.size); }

  void find_sleepers(PyRuntimeState& state) {
    for (std::size_t i = 0; i < copy_.interpreters.size(); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      for (std::size_t j = 0; j < threads.size(); ++j) {
        if (!threads[j].os_thread || threads[j].suspended) continue;
        const std::optional<Address> word = futex_word(*threads[j].os_thread);
        if (!word || is_gil_word(reading_, copy_, *word)) continue;
        Sleeper sleeper;
        sleeper.interpreter = &copy_.interpreters[i];
        sleeper.thread = &threads[j];
        sleeper.word = *word;
        if (i < state.interpreters.size() && j < state.interpreters[i].threads.size())
          sleeper.state = &state.interpreters[i].threads[j];
        sleepers_.push_back(std::move(sleeper));
      }
    }
  }

  // ---- types

  struct TypeFact {
    PointerField bound_self;    // a bound method: where its self is
    bool unknown_lock = false;  // a lock type of a size that no table has
    std::int64_t size = 0;      // tp_basicsize; 0: not to be looked through
    std::string name;
  };

  const TypeFact& type_fact(Address type) {
    const auto [found, added] = type_facts_.try_emplace(type);
    if (!added) return found->second;
    TypeFact fact;
    if (const Result<std::string> name = type_name(layout(), reading_.lasting, type)) {
      fact.name = *name;
      fact.bound_self = bound_self_field(layout(), *name);
      const Result<std::int64_t> size = type_basicsize(layout(), reading_.lasting, type);
      const Result<std::uint64_t> flags = type_flags(layout(), reading_.lasting, type);
      if (size && flags) {
        fact.unknown_lock =
            is_lock_type_name(*name) && find_lock_layout(*name, *size - layout().object.size) == nullptr;
        if (is_opaque(*name, *flags) && *size <= max_object) fact.size = *size;
      }
    }
    return type_facts_.insert_or_assign(type, std::move(fact)).first->second;
  }

  // A C object whose fields nobody here knows: no basic object of Python's, no instance of a Python class.
  static bool is_opaque(std::string_view name, std::uint64_t flags) {
    constexpr std::uint64_t basic = type_flag::long_subclass | type_flag::list_subclass |
                                    type_flag::tuple_subclass | type_flag::bytes_subclass |
                                    type_flag::unicode_subclass | type_flag::dict_subclass |
                                    type_flag::base_exc_subclass | type_flag::type_subclass;
    if ((flags & basic) != 0 || name.find('.') == std::string_view::npos) return false;
    return !name.starts_with("_thread.") && !name.starts_with("_ctypes.");
  }

  const TypeFact* object_fact(Address object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    return type && may_be_object(*type) ? &type_fact(*type) : nullptr;
  }

  static std::string kind_words(const PySyncObject& object) {
    switch (object.kind) {
      case PySyncKind::lock:
        return "_thread.lock";
      case PySyncKind::rlock:
        return "_thread.RLock";
      default:
        return object.type_name;
    }
  }

  // The word inside of an object that a thread would sleep on, where the kind is known.
  struct Word {
    std::uint64_t offset = 0;  // from the end of the head
    bool pointer = false;      // it is what stands there; else the place itself
  };
  std::optional<Word> word_of(const PySyncObject& object) {
    const Result<Address> type = type_of(layout(), reading_.memory, object.address);
    const auto fact = type ? reading_.sync_types.find(*type) : reading_.sync_types.end();
    if (fact == reading_.sync_types.end() || !fact->second.native) return std::nullopt;
    const auto offset = [](auto field) { return static_cast<std::uint64_t>(field.offset); };
    if (object.kind == PySyncKind::lock || object.kind == PySyncKind::rlock) {
      const LockLayout* lock = find_lock_layout(
          object.kind == PySyncKind::lock ? "_thread.lock" : "_thread.RLock", fact->second.size);
      if (lock == nullptr) return std::nullopt;
      return lock->mutex.exists() ? Word{offset(lock->mutex), false} : Word{offset(lock->semaphore), true};
    }
    if (object.kind == PySyncKind::simple_queue) {
      const SimpleQueueLayout* queue = find_simple_queue_layout(fact->second.size);
      if (queue == nullptr) return std::nullopt;
      return queue->waiting.exists() ? Word{offset(queue->waiting), false}
                                     : Word{offset(queue->semaphore), true};
    }
    if (object.kind == PySyncKind::sem_lock) return Word{offset(sem_lock_layout.handle), true};
    if (object.kind == PySyncKind::buffered) return Word{offset(buffered_layout.lock), true};
    return std::nullopt;
  }

  // Whether a thread that sleeps on (or is parked on) `asleep_on` waits for this object.
  bool is_slept_on(const PySyncObject& object, Address asleep_on) {
    const std::optional<Word> word = word_of(object);
    if (!word) return false;
    const Address at = object.address + head() + word->offset;
    if (!word->pointer) return at == asleep_on;
    const Result<Address> target = reading_.memory.read_address(at);
    return target && *target == asleep_on;
  }

  void found(Sleeper& sleeper, const PySyncObject& object, Address word, std::string rule,
             std::string evidence) {
    sleeper.found = PyLockWait{object.address, word, std::move(rule), std::move(evidence)};
  }

  // ---- parked threads

  void find_parked() {
    if (!layout().wait_entry.addr.exists()) return;
    for (Sleeper& sleeper : sleepers_) find_parked(sleeper);
  }

  // What a parked thread's wait_entry says it is parked on; none: it is not parked (any more).
  std::optional<Address> parked_on(Sleeper& sleeper) {
    const auto& fields = layout().wait_entry;
    const attach::ThreadState& thread = *sleeper.thread->os_thread;
    if (!thread.stack.contains(sleeper.word) || !fields.sema.exists()) return std::nullopt;
    sleeper.parked = true;
    const Address entry = sleeper.word - static_cast<std::uint64_t>(fields.sema.offset);
    const Result<StructCopy> copy = StructCopy::read(reading_.memory, entry, fields.size);
    if (!copy) return std::nullopt;
    const std::optional<Address> next = copy->pointer(fields.next);
    const std::optional<Address> prev = copy->pointer(fields.prev);
    const std::optional<Address> addr = copy->pointer(fields.addr);
    if (!next || !prev || !addr) return std::nullopt;
    // In its bucket's list: the neighbours point back. A thread that was just unparked is in none.
    const Address node = entry + static_cast<std::uint64_t>(fields.next.offset);
    const auto distance = static_cast<std::uint64_t>(fields.prev.offset - fields.next.offset);
    const Result<Address> next_back = reading_.memory.read_address(*next + distance);
    const Result<Address> prev_forth = reading_.memory.read_address(*prev);
    if (!next_back || !prev_forth || *next_back != node || *prev_forth != node) return std::nullopt;
    return addr;
  }

  void find_parked(Sleeper& sleeper) {
    const std::optional<Address> addr = parked_on(sleeper);
    if (!addr) return;
    sleeper.parked_on = *addr;
    const std::string parked = "it is parked on the address " + hex(*addr);
    if (addr->value > head()) {
      const Address object = *addr - head();
      if (const TypeFact* fact = may_be_object(object) ? object_fact(object) : nullptr)
        sleeper.unknown_lock = fact->unknown_lock;
      const PySyncObject* known = may_be_object(object) ? describe_sync_object(reading_, object) : nullptr;
      if (known != nullptr && is_slept_on(*known, *addr)) {
        const bool queue = known->kind == PySyncKind::simple_queue;
        found(sleeper, *known, *addr, "parking-lot",
              parked + ", which is " + (queue ? "where getters wait in the " : "the mutex inside the ") +
                  kind_words(*known) + " at " + hex(object));
        return;
      }
    }
    if (find_thread_handle(sleeper, *addr, parked) || find_world_stop(sleeper, *addr, parked)) return;
    find_object_mutex(sleeper, *addr, parked);
  }

  // ThreadHandle.thread_is_exiting, an event that is set when the thread has ended. A handle is in the
  // runtime's list: its neighbours point back.
  bool find_thread_handle(Sleeper& sleeper, Address addr, const std::string& parked) {
    const auto& fields = layout().thread_handle;
    if (!fields.thread_is_exiting.exists() || !fields.ident.exists()) return false;
    const auto offset = static_cast<std::uint64_t>(fields.thread_is_exiting.offset);
    if (addr.value < offset) return false;
    const Address handle = addr - offset;
    constexpr std::uint64_t prev = 8;  // llist_node {next, prev} is the first field
    const Result<Address> next = reading_.memory.read_address(handle);
    const Result<Address> back = next ? reading_.memory.read_address(*next + prev) : next;
    const Result<std::uint64_t> ident =
        reading_.memory.read_value<std::uint64_t>(handle + static_cast<std::uint64_t>(fields.ident.offset));
    if (!back || *back != handle || !ident || *ident == 0) return false;
    PySyncObject object;
    object.address = handle;
    object.kind = PySyncKind::thread;
    object.type_name = "_thread._ThreadHandle";
    object.thread_ident = *ident;
    const Result<std::int32_t> state =
        reading_.memory.read_value<std::int32_t>(handle + static_cast<std::uint64_t>(fields.state.offset));
    constexpr std::int32_t done = 4;  // THREAD_HANDLE_DONE
    if (state) object.finished = *state == done;
    found(sleeper, *add_sync_object(reading_, std::move(object)), addr, "parked-on-thread-handle",
          parked + ", which is set when the thread of the ident " + hex(Address(*ident)) + " has ended");
    return true;
  }

  // Free-threaded: suspended threads are parked on their own state; who stops the world waits on its event.
  bool find_world_stop(Sleeper& sleeper, Address addr, const std::string& parked) {
    const auto& thread = layout().thread_state;
    bool global = false;
    if (is_stop_event(layout(), copy_, *sleeper.interpreter, addr, global)) {
      wait_for_others(sleeper, addr, parked, global);
      return true;
    }
    if (!layout().free_threaded || !thread.state.exists() ||
        addr != sleeper.thread->tstate.at() + static_cast<std::uint64_t>(thread.state.offset)) {
      return false;
    }
    const std::optional<WorldStop> stop = world_stop(layout(), copy_, *sleeper.interpreter);
    PySyncObject object;
    object.kind = PySyncKind::stop_the_world;
    object.address = stop ? stop->of : sleeper.interpreter->interpreter.at();
    object.owner_field = true;
    for (const InterpreterCopy& interpreter : copy_.interpreters) {
      for (const ThreadCopy& each : interpreter.threads) {
        if (stop && !stop->requester.is_null() && each.tstate.at() == stop->requester)
          object.owner_ident = each.tstate.get(thread.thread_id);
      }
    }
    found(sleeper, *add_sync_object(reading_, std::move(object)), addr, "parked-on-own-state",
          parked + ", which is its own thread state: the world is stopped");
    return true;
  }

  // The world stands when no thread but the requester is attached. One that sleeps and is attached all the
  // same is the one to speak of.
  void wait_for_others(Sleeper& sleeper, Address addr, const std::string& parked, bool global) {
    const auto& fields = layout().thread_state;
    constexpr std::int32_t attached = 1;  // _Py_THREAD_ATTACHED
    const ThreadCopy* last = nullptr;
    std::size_t count = 0;
    for (const InterpreterCopy& interpreter : copy_.interpreters) {
      if (!global && &interpreter != sleeper.interpreter) continue;
      for (const ThreadCopy& each : interpreter.threads) {
        if (&each == sleeper.thread || each.tstate.get(fields.state) != attached) continue;
        ++count;
        const bool sleeps = each.os_thread != nullptr && each.os_thread->kernel_wait.has_value();
        if (last == nullptr || sleeps) last = &each;
      }
    }
    PySyncObject object;
    object.address = addr;
    object.kind = PySyncKind::stop_event;
    object.owner_field = true;
    if (last != nullptr) object.owner_ident = last->tstate.get(fields.thread_id);
    object.detail.push_back({"attached", static_cast<std::int64_t>(count)});
    found(sleeper, *add_sync_object(reading_, std::move(object)), addr, "parked-on-stop-event",
          parked + ", where who stops the world waits for the others");
  }

  // Free-threaded: PyObject.ob_mutex, which a critical section takes.
  void find_object_mutex(Sleeper& sleeper, Address addr, const std::string& parked) {
    if (!layout().free_threaded) return;
    const PySyncObject* object = describe_mutex(reading_, addr);
    if (object == nullptr || object->kind != PySyncKind::object_mutex) return;
    found(sleeper, *object, addr, "parked-on-object-mutex",
          parked + ", which is the own mutex of an object of the type " + object->type_name);
  }

  // Parked on a PyMutex in nothing that was recognised.
  void find_bare_mutexes() {
    for (Sleeper& sleeper : sleepers_) {
      if (sleeper.found || !sleeper.parked_on) continue;
      found(sleeper, *describe_mutex(reading_, *sleeper.parked_on), *sleeper.parked_on, "parked-on-mutex",
            "it is parked on the address " + hex(*sleeper.parked_on) +
                ", which lies in no object that was recognised");
    }
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
    const std::optional<Address> sp = thread.stack_pointer();
    if (!sp || sp->value % 8 != 0) return candidates;
    std::vector<std::uint64_t> words(end - first);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(words));
    const std::size_t got = reading_.memory.read_up_to(*sp + first * sizeof(std::uint64_t), bytes);
    words.resize(std::min(got, bytes.size()) / sizeof(std::uint64_t));
    for (const std::uint64_t word : words) {
      // Neither inside the stack itself nor what no object's address can be.
      if (word % 8 != 0 || word < 4096 || word >> attach::lowest_non_user_bits != 0 ||
          thread.stack.contains(Address(word)))
        continue;
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
  std::vector<Candidate> generic_stack_candidates(const Sleeper& sleeper) {
    return stack_candidates(sleeper, 0, generic_stack_words);
  }

  // Objects lie in memory that can be written; most words of a C stack don't lead there.
  bool may_be_object(Address at) {
    if (last_mapping_ != nullptr && last_mapping_->range.contains(at)) return true;
    if (reading_.target.mappings.empty()) return true;
    const attach::Mapping* mapping = attach::find_mapping(reading_.target.mappings, at);
    if (mapping == nullptr || !mapping->readable || !mapping->writable) return false;
    last_mapping_ = mapping;
    return true;
  }

  // For all sleepers at once: gather, touch, then look.
  void search(std::vector<Candidate> (LockSearch::*gather)(const Sleeper&), bool generic) {
    std::vector<std::pair<Sleeper*, std::vector<Candidate>>> searches;
    std::vector<attach::Range> wave;
    for (Sleeper& sleeper : sleepers_) {
      if (sleeper.found || (sleeper.parked && !sleeper.parked_on)) continue;
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
        if (try_object(*sleeper, candidate, candidate.object, generic, false)) break;
        const TypeFact* fact = object_fact(candidate.object);
        if (fact == nullptr || !fact->bound_self.exists()) continue;
        const Result<Address> self = reading_.memory.read_address(
            candidate.object + static_cast<std::uint64_t>(fact->bound_self.offset));
        if (self && may_be_object(*self) && try_object(*sleeper, candidate, *self, generic, true)) break;
      }
    }
  }

  bool try_object(Sleeper& sleeper, const Candidate& candidate, Address object, bool generic, bool bound) {
    return generic ? try_generic(sleeper, object, *candidate.place)
                   : try_candidate(sleeper, object, *candidate.place, bound);
  }

  bool try_candidate(Sleeper& sleeper, Address object, const Place& place, bool bound) {
    const Address asleep_on = sleeper.parked_on.value_or(sleeper.word);
    const TypeFact* fact = object_fact(object);
    if (fact == nullptr || fact->name.empty()) return false;
    if (fact->unknown_lock) sleeper.unknown_lock = true;
    const PySyncObject* known = describe_sync_object(reading_, object);
    if (known == nullptr || !is_slept_on(*known, asleep_on)) return false;
    if (reading_.held) {  // only what is touched matters
      found(sleeper, *known, asleep_on, {}, {});
      return true;
    }
    const std::string what = sleeper.parked_on ? "it is parked on the mutex " : "it sleeps on the semaphore ";
    found(sleeper, *known, asleep_on, place.rule,
          what + hex(asleep_on) + ", which is that of the " + kind_words(*known) + " at " + hex(object) +
              ", found " + (bound ? "as the self of a bound method " : "") + place.words);
    return true;
  }

  // Any C object that has the lock as a field, or (PyMutex) inside of it.
  bool try_generic(Sleeper& sleeper, Address object, const Place& place) {
    const Address asleep_on = sleeper.parked_on.value_or(sleeper.word);
    const TypeFact* fact = object_fact(object);
    if (fact == nullptr || fact->size <= layout().object.size) return false;
    std::optional<std::uint64_t> offset;
    if (asleep_on >= object + head() && asleep_on < object + static_cast<std::uint64_t>(fact->size)) {
      if (sleeper.parked_on) offset = asleep_on - object;
    } else {
      std::vector<std::uint64_t> words(static_cast<std::size_t>(fact->size) / sizeof(std::uint64_t));
      const std::size_t got = reading_.memory.read_up_to(object, std::as_writable_bytes(std::span(words)));
      words.resize(std::min(got / sizeof(std::uint64_t), words.size()));
      const auto at = std::find(words.begin(), words.end(), asleep_on.value);
      if (at != words.end()) offset = static_cast<std::uint64_t>(at - words.begin()) * sizeof(std::uint64_t);
    }
    if (!offset || *offset < head()) return false;
    PySyncObject described;
    described.address = object;
    described.kind = PySyncKind::c_object;
    described.type_name = fact->name;
    found(sleeper, *add_sync_object(reading_, std::move(described)), asleep_on,
          std::string("c-object-") + (place.words == on_c_stack.words ? "on-c-stack" : "in-frame"),
          "it sleeps on " + hex(asleep_on) + ", the lock at offset " + std::to_string(*offset) + " of the " +
              fact->name + " object at " + hex(object) + ", found " + place.words);
    return true;
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  std::vector<Sleeper> sleepers_;
  std::unordered_map<Address, TypeFact> type_facts_;
  const attach::Mapping* last_mapping_ =
      nullptr;  // where the last object may lie: the next one is often there
};

}  // namespace

void fetch_locks(Reading& reading, const RuntimeCopy& copy) {
  // The code objects and slots of the innermost frames, and the stacks, for all sleepers at once; the search
  // itself then touches the candidates.
  const RuntimeLayout& layout = reading.layout();
  std::vector<attach::Range> wave;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      if (!thread.os_thread || thread.suspended || !futex_word(*thread.os_thread) || thread.frames.empty())
        continue;
      wave.push_back({thread.frames.front().code, static_cast<std::uint64_t>(std::max(layout.code.size, 0))});
      if (const std::optional<Address> sp = thread.os_thread->stack_pointer())
        wave.push_back({*sp, all_stack_words * sizeof(std::uint64_t)});
    }
  }
  reading.memory.prefetch(wave);
}

void read_locks(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  LockSearch search(reading, copy);
  for (Sleeper& sleeper : search.run(state)) {
    if (!sleeper.state) continue;
    if (sleeper.found) {
      sleeper.state->lock_wait = std::move(sleeper.found);
    } else if (sleeper.unknown_lock) {
      sleeper.state->gaps.push_back("it waits for a lock object of a layout that is not known");
    }
  }
}

}  // namespace pythreads::pyframes
