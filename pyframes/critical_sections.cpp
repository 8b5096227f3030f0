#include "pyframes/critical_sections.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pyframes/hex.h"
#include "pyframes/hold_rules.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr std::size_t max_sections = 200;  // of one thread; they nest as deep as C calls C
constexpr std::uint64_t inactive = 1, two_mutexes = 2, tag_mask = 3;

// PyCriticalSection, and PyCriticalSection2 which goes on with a second mutex.
constexpr std::uint64_t cs_mutex = 8, cs_mutex2 = 16, section_bytes = 24;

constexpr std::uint64_t ob_mutex = 10;  // free-threaded PyObject: ob_tid, ob_flags (or padding), ob_mutex

std::optional<bool> is_locked(Reading& reading, Address mutex) {
  const Result<std::uint8_t> bits = reading.memory.read_value<std::uint8_t>(mutex);
  return bits ? std::optional((*bits & 1) != 0) : std::nullopt;
}

// The type of what lies there, if that is a type indeed.
std::optional<Address> type_of_object(Reading& reading, Address at) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, at);
  if (!type || type->is_null()) return std::nullopt;
  const Result<std::uint64_t> flags = object_flags(reading.layout(), reading.lasting, *type);
  if (!flags || (*flags & type_flag::type_subclass) == 0) return std::nullopt;
  return *type;
}

// What the mutex belongs to; an empty name: to no object.
std::pair<Address, std::string> find_object(Reading& reading, Address mutex) {
  if (!reading.layout().free_threaded || mutex.value < ob_mutex || (mutex.value - ob_mutex) % 8 != 0)
    return {};
  const Address at = mutex - ob_mutex;
  const std::optional<Address> type = type_of_object(reading, at);
  if (!type) return {};
  const Result<std::string> name = qualified_type_name(reading.layout(), reading.lasting, *type);
  if (!name) return {};
  return {at, *name};
}

class CriticalSections {
 public:
  CriticalSections(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    start();
    // One wave for all threads' sections of the same depth.
    for (std::size_t depth = 0; depth < max_sections && !chains_.empty(); ++depth) {
      std::vector<Range> wave;
      for (const Chain& chain : chains_) wave.push_back({section_of(chain.tag), section_bytes});
      reading_.memory.prefetch(wave);
      std::erase_if(chains_, [&](Chain& chain) { return !step(chain); });
    }
    for (const Chain& chain : chains_) chain.thread->gaps.push_back("too many critical sections to read all");
    std::vector<Range> mutexes;
    for (const Held& held : held_) mutexes.push_back({held.mutex - std::min(held.mutex.value, ob_mutex), 32});
    reading_.memory.prefetch(mutexes);
    for (const Held& held : held_) add(held);
  }

 private:
  struct Chain {
    PyThread* thread = nullptr;
    std::uint64_t tag = 0;
  };
  struct Held {
    PyThread* thread = nullptr;
    Address section, mutex;
  };

  static Address section_of(std::uint64_t tag) { return Address(tag & ~tag_mask); }
  static bool is_active(std::uint64_t tag) { return (tag & ~tag_mask) != 0 && (tag & inactive) == 0; }

  void start() {
    const PointerField field = reading_.layout().thread_state.critical_section;
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      std::vector<PyThread>& states = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) {
        const std::uint64_t tag = threads[j].tstate.get(field).value_or(0);
        if (is_active(tag)) chains_.push_back({&states[j], tag});
        // Who waits for a mutex says best what it is.
        if (states[j].lock_wait) waited_.emplace(states[j].lock_wait->word, states[j].lock_wait->object);
      }
    }
  }

  // Whether there is another active one behind it.
  bool step(Chain& chain) {
    const Address section = section_of(chain.tag);
    const auto note = [&](std::uint64_t offset) {
      const Result<Address> mutex = reading_.memory.read_address(section + offset);
      if (mutex && !mutex->is_null()) held_.push_back({chain.thread, section, *mutex});
    };
    note(cs_mutex);
    if ((chain.tag & two_mutexes) != 0) note(cs_mutex2);
    const Result<std::uint64_t> previous = reading_.memory.read_value<std::uint64_t>(section);
    if (!previous) {
      chain.thread->gaps.push_back("a critical section of it could not be read");
      return false;
    }
    chain.tag = *previous;
    return is_active(chain.tag);
  }

  void add(const Held& held) {
    // A section that is just being left has unlocked its mutex already.
    if (!is_locked(reading_, held.mutex).value_or(false)) return;
    const auto waited = waited_.find(held.mutex);
    const PySyncObject* object = waited != waited_.end() ? describe_sync_object(reading_, waited->second)
                                                         : describe_mutex(reading_, held.mutex);
    if (object == nullptr) return;
    const bool twice =
        std::any_of(held.thread->held.begin(), held.thread->held.end(), [&](const PyHeldLock& each) {
          return each.object == object->address && each.rule == hold_rule::critical_section;
        });
    if (twice) return;
    PyHeldLock lock;
    lock.object = object->address;
    lock.trust = PyHoldTrust::certain;
    lock.rule = hold_rule::critical_section;
    lock.evidence = "its critical section at " + hex(held.section) + " is active and has the mutex " +
                    hex(held.mutex) + " locked";
    held.thread->held.push_back(std::move(lock));
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::vector<Chain> chains_;
  std::vector<Held> held_;
  std::unordered_map<Address, Address> waited_;  // objects by the word that is slept on
};

}  // namespace

const PySyncObject* describe_mutex(Reading& reading, Address mutex) {
  const auto [object, type] = find_object(reading, mutex);
  PySyncObject described;
  described.address = mutex;
  described.kind = PySyncKind::pymutex;
  described.type_name = "PyMutex";
  if (!type.empty()) {
    const PySyncObject* known = describe_sync_object(reading, object);
    described.kind = PySyncKind::object_mutex;
    described.type_name = type;
    if (known == nullptr || known->kind == PySyncKind::object_mutex) described.address = object;
  }
  described.locked = is_locked(reading, mutex);
  return add_sync_object(reading, std::move(described));
}

void read_critical_sections(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  const RuntimeLayout& layout = reading.layout();
  if (!layout.free_threaded || !layout.thread_state.critical_section.exists()) return;
  CriticalSections(reading, copy, state).run();
}

}  // namespace pythreads::pyframes
