#include "pyframes/stack_places.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::ThreadState;

// The copied stacks by where they begin.
class Stacks {
 public:
  explicit Stacks(const std::vector<ThreadState>& threads) {
    for (const ThreadState& thread : threads) {
      if (thread.stack.size > 0) by_begin_.emplace(thread.stack.begin, &thread);
    }
  }

  const ThreadState* find(Address place) const {
    auto next = by_begin_.upper_bound(place);
    if (next == by_begin_.begin()) return nullptr;
    const ThreadState* thread = std::prev(next)->second;
    return thread->stack.contains(place) ? thread : nullptr;
  }

 private:
  std::map<Address, const ThreadState*> by_begin_;
};

// What its innermost evaluation loop left on the C stack; null: nothing, or no loop runs.
Address left_on_stack(const RuntimeLayout& layout, const ThreadCopy& thread) {
  if (!thread.entry_frame.is_null()) return thread.entry_frame;
  const Address cframe = thread.tstate.pointer(layout.thread_state.cframe).value_or(Address());
  const attach::Range tstate{thread.tstate.at(), static_cast<std::uint64_t>(layout.thread_state.size)};
  return tstate.contains(cframe) ? Address() : cframe;  // its root_cframe
}

bool leaves_a_struct(const RuntimeLayout& layout) {
  return layout.thread_state.cframe.exists() || layout.first_shim_owner > 0;
}

using Claims = std::unordered_map<const ThreadState*, std::vector<ThreadCopy*>>;

Claims claims_of(RuntimeCopy& copy) {
  Claims claims;
  for (InterpreterCopy& interpreter : copy.interpreters) {
    for (ThreadCopy& thread : interpreter.threads) {
      if (thread.os_thread) claims[thread.os_thread].push_back(&thread);
    }
  }
  return claims;
}

struct Sighting {
  const ThreadState* thread = nullptr;
  Address frame, tstate;  // the lowest words that hold them; null: none does
};

// Where the words of each contested state are, in one pass over the stacks.
std::unordered_map<const ThreadCopy*, std::vector<Sighting>> search_stacks(
    Reading& reading, const std::vector<ThreadCopy*>& contested) {
  std::unordered_map<std::uint64_t, ThreadCopy*> by_frame, by_tstate;
  for (ThreadCopy* thread : contested) {
    by_frame.emplace(thread->frames.front().address.value, thread);
    by_tstate.emplace(thread->tstate.at().value, thread);
  }
  std::unordered_map<const ThreadCopy*, std::vector<Sighting>> found;
  std::vector<std::byte> bytes;
  for (const ThreadState& os_thread : reading.target.threads) {
    bytes.resize(os_thread.stack.size);
    const std::size_t got = reading.memory.read_up_to(os_thread.stack.begin, bytes);
    std::unordered_map<const ThreadCopy*, Sighting> here;
    for (std::size_t i = 0; i + sizeof(std::uint64_t) <= got; i += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, sizeof word);
      const Address at = os_thread.stack.begin + i;
      if (const auto frame = by_frame.find(word); frame != by_frame.end()) {
        Sighting& sighting = here[frame->second];
        if (sighting.frame.is_null()) sighting.frame = at;
      }
      if (const auto tstate = by_tstate.find(word); tstate != by_tstate.end()) {
        Sighting& sighting = here[tstate->second];
        if (sighting.tstate.is_null()) sighting.tstate = at;
      }
    }
    for (auto& [thread, sighting] : here) {
      sighting.thread = &os_thread;
      found[thread].push_back(sighting);
    }
  }
  return found;
}

// 3.8, 3.9: whoever alone has both the innermost frame and the state on its stack.
void search_for_contested(Reading& reading, RuntimeCopy& copy) {
  std::vector<ThreadCopy*> contested;
  for (const auto& claim : claims_of(copy)) {
    if (claim.second.size() < 2) continue;
    for (ThreadCopy* thread : claim.second) {
      if (!thread->frames.empty()) contested.push_back(thread);
    }
  }
  if (contested.empty()) return;
  const auto found = search_stacks(reading, contested);
  for (ThreadCopy* thread : contested) {
    const auto sightings = found.find(thread);
    std::vector<Sighting> both;
    if (sightings != found.end()) {
      std::copy_if(sightings->second.begin(), sightings->second.end(), std::back_inserter(both),
                   [](const Sighting& each) { return !each.frame.is_null() && !each.tstate.is_null(); });
    }
    if (both.size() == 1) {
      thread->os_thread = both.front().thread;
      thread->stack_place = both.front().frame;
    } else {
      thread->os_thread = nullptr;
      thread->os_thread_gap =
          both.empty() ? "its frames are on no thread's stack, and its ident is shared"
                       : "its frames are mentioned on several threads' stacks, and its ident is shared";
    }
  }
}

void mark_suspended(RuntimeCopy& copy) {
  for (const auto& claim : claims_of(copy)) {
    if (claim.second.size() < 2) continue;
    const auto lower = [](const ThreadCopy* a, const ThreadCopy* b) {
      if (a->stack_place.is_null() || b->stack_place.is_null())
        return !a->stack_place.is_null() && b->stack_place.is_null();
      return a->stack_place < b->stack_place;
    };
    const ThreadCopy* innermost = *std::min_element(claim.second.begin(), claim.second.end(), lower);
    if (innermost->stack_place.is_null()) continue;
    for (ThreadCopy* thread : claim.second) thread->suspended = thread != innermost;
  }
}

}  // namespace

void place_on_stacks(Reading& reading, RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  if (leaves_a_struct(layout)) {
    const Stacks stacks(reading.target.threads);
    for (InterpreterCopy& interpreter : copy.interpreters) {
      for (ThreadCopy& thread : interpreter.threads) {
        const Address place = thread.gone ? Address() : left_on_stack(layout, thread);
        const ThreadState* runs_it = place.is_null() ? nullptr : stacks.find(place);
        if (!runs_it) continue;
        thread.os_thread = runs_it;
        thread.stack_place = place;
      }
    }
  } else {
    search_for_contested(reading, copy);
  }
  mark_suspended(copy);
}

}  // namespace pythreads::pyframes
