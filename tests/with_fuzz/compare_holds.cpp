// compare_holds PID LOOKS ADDRESS…: stops the process LOOKS times at random moments, and compares what the
// frames say of `with` blocks with the owner fields of the RLocks at these addresses. Both are read
// in the same stop; the reader of frames does not look at the fields here, so that a false hold is seen as
// one.
//
// Prints one line: slots, false, missed; and for each false hold (with EXPLAIN in the environment, for each
// missed one, too) a line to standard error with the thread's frames.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "attach/attachment.h"
#include "pyframes/block_edges.h"
#include "pyframes/code.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/gil.h"
#include "pyframes/interpreters.h"
#include "pyframes/lock_layouts.h"
#include "pyframes/lock_managers.h"
#include "pyframes/objects.h"
#include "pyframes/python_reader.h"
#include "pyframes/reading.h"
#include "pyframes/suspended_frames.h"
#include "pyframes/sync_objects.h"
#include "pyframes/thread_ids.h"
#include "pyframes/unwinding.h"
#include "pyframes/with_blocks.h"

namespace {

using namespace std::chrono_literals;
namespace attach = pythreads::attach;
namespace pyframes = pythreads::pyframes;
using attach::Address;

struct Count {
  long slots = 0, wrong = 0, missed = 0;
};

// {(ident, lock): how often}.
using Holds = std::map<std::pair<std::uint64_t, Address>, long>;

class Look {
 public:
  Look(const pyframes::Runtime& runtime, attach::Target& target, const std::vector<Address>& locks)
      : reading_({.runtime = runtime,
                  .target = target,
                  .memory = *target.memory,
                  .lasting = *target.memory,
                  .keys = *target.memory,
                  .options = options_,
                  .held = true}),
        locks_(locks) {}

  void compare(Count& count) {
    copy_ = pyframes::copy_interpreters(reading_);
    pyframes::match_os_threads(reading_, copy_);
    pyframes::chain_frames(reading_, copy_);
    read_fields();
    read_frames();
    for (const auto& [key, times] : fields_) {
      const long gone = std::max(0L, times - times_in(found_, key));
      count.slots += times;
      count.missed += gone;
      if (gone > 0 && std::getenv("EXPLAIN") != nullptr) print("missed", key);
    }
    for (const auto& [key, times] : found_) {
      const long extra = times - times_in(fields_, key) - (is_just_taken(key.second) ? 1 : 0);
      if (extra <= 0 || std::find(locks_.begin(), locks_.end(), key.second) == locks_.end()) continue;
      count.wrong += extra;
      print("false", key);
    }
  }

 private:
  static long times_in(const Holds& holds, const Holds::key_type& key) {
    const auto place = holds.find(key);
    return place == holds.end() ? 0 : place->second;
  }

  std::uint64_t ident_of(const pyframes::ThreadCopy& thread) const {
    return thread.tstate.get(reading_.layout().thread_state.thread_id).value_or(0);
  }

  void read_fields() {
    for (const Address lock : locks_) {
      const pyframes::PySyncObject* object = pyframes::describe_sync_object(reading_, lock);
      if (object != nullptr && object->owner_ident.value_or(0) != 0 && object->count)
        fields_[{*object->owner_ident, lock}] = *object->count;
    }
  }

  // An RLock's new owner writes its ident only once it has the GIL again: the lock inside is taken, and the
  // fields say that nobody has it.
  bool is_just_taken(Address lock) {
    const pyframes::RuntimeLayout& layout = reading_.layout();
    if (std::any_of(fields_.begin(), fields_.end(),
                    [&](const auto& each) { return each.first.second == lock; }))
      return false;
    const auto type = pyframes::type_of(layout, reading_.memory, lock);
    const auto size = type ? pyframes::type_basicsize(layout, reading_.memory, *type)
                           : attach::Result<std::int64_t>(type.error());
    const pyframes::LockLayout* fields =
        size ? pyframes::find_lock_layout("_thread.RLock", *size - layout.object.size) : nullptr;
    if (fields == nullptr) return false;
    const Address inside = lock + static_cast<std::uint64_t>(layout.object.size);
    if (fields->mutex.exists())
      return (reading_.memory.read_value<std::uint8_t>(inside).value_or(0) & 1U) != 0;
    const auto semaphore = reading_.memory.read_address(inside);
    return semaphore && reading_.memory.read_value<std::uint32_t>(*semaphore).value_or(1) == 0;
  }

  void read_frames() {
    pyframes::PyRuntimeState state;
    for (const pyframes::InterpreterCopy& interpreter : copy_.interpreters)
      state.interpreters.emplace_back().threads.resize(interpreter.threads.size());
    pyframes::read_gil(reading_, copy_, state);
    for (std::size_t i = 0; i < copy_.interpreters.size(); ++i) {
      const std::vector<pyframes::ThreadCopy>& threads = copy_.interpreters[i].threads;
      for (std::size_t j = 0; j < threads.size(); ++j)
        read_thread(threads[j], state.interpreters[i].threads[j].takes_gil);
    }
    // Where several threads refer to one, a stale word may be among the references: then it is nobody's.
    for (const auto& [generator, idents] : generators_) {
      const auto suspended = pyframes::suspended_frame(reading_, generator);
      if (!suspended || idents.size() != 1) continue;
      for (const pyframes::OpenWith& open : pyframes::open_with_blocks(reading_, *suspended))
        add_manager(open, *idents.begin(), std::nullopt);
    }
  }

  void read_thread(const pyframes::ThreadCopy& thread, bool takes_gil) {
    const std::uint64_t ident = ident_of(thread);
    const std::optional<Address> given_back = given_back_by(thread);
    for (std::size_t i = 0; i < thread.frames.size(); ++i) {
      for (const pyframes::OpenWith& open : pyframes::open_with_blocks(reading_, thread.frames[i])) {
        if (!pyframes::may_be_left(reading_, thread, i, open)) add_manager(open, ident, given_back);
      }
      for (const pyframes::EdgeHold& edge : pyframes::holds_at_block_edge(reading_, thread, i, takes_gil))
        add(edge.lock, ident, given_back);
      find_suspended(thread.frames[i], ident);
    }
  }

  // A Condition that is waited on has given its lock back, as often as it was taken.
  std::optional<Address> given_back_by(const pyframes::ThreadCopy& thread) {
    constexpr std::size_t innermost = 3;
    for (std::size_t i = 0; i < std::min(thread.frames.size(), innermost); ++i) {
      const pyframes::FrameCopy& frame = thread.frames[i];
      if (pyframes::code_name(reading_, frame.code) != "wait" ||
          pyframes::module_of(reading_, frame) != "threading") {
        continue;
      }
      const auto self = pyframes::find_variable(reading_, frame, "self");
      const pyframes::PySyncObject* known = self ? pyframes::describe_sync_object(reading_, *self) : nullptr;
      if (known != nullptr && !known->lock.is_null()) return known->lock;
    }
    return std::nullopt;
  }

  // Generators that a frame refers to.
  void find_suspended(const pyframes::FrameCopy& frame, std::uint64_t ident) {
    const auto size = pyframes::frame_size(reading_, frame.code);
    if (!size) return;
    const auto words = pyframes::read_slots(reading_, pyframes::frame_slots(reading_.layout(), frame, *size),
                                            0, size->variables + size->value_stack);
    if (!words) return;
    for (const std::uint64_t word : *words) {
      const auto object = pyframes::referred_object(reading_.layout(), word);
      const auto suspended = object ? pyframes::suspended_frame(reading_, *object) : std::nullopt;
      // What a context manager's generator holds is counted where its block is open.
      if (suspended && pyframes::code_name(reading_, suspended->code) != "managed")
        generators_[*object].insert(ident);
    }
  }

  void add_manager(const pyframes::OpenWith& open, std::uint64_t ident, std::optional<Address> given_back) {
    for (const pyframes::ManagedLock& lock : pyframes::locks_of_manager(reading_, open.manager))
      add(lock, ident, given_back);
  }

  // What is no more than likely is no claim.
  void add(const pyframes::ManagedLock& lock, std::uint64_t ident, std::optional<Address> given_back) {
    if (given_back != lock.object && lock.trust != pyframes::PyHoldTrust::likely) {
      ++found_[{ident, lock.object}];
      rules_[{ident, lock.object}] += ' ' + lock.rule;
    }
  }

  void print(const char* what, const Holds::key_type& key) {
    std::fprintf(stderr, "%s: 0x%lx %ld times by%s, its field says %ld;", what,
                 static_cast<unsigned long>(key.second.value), times_in(found_, key), rules_[key].c_str(),
                 times_in(fields_, key));
    for (const pyframes::InterpreterCopy& interpreter : copy_.interpreters) {
      for (const pyframes::ThreadCopy& thread : interpreter.threads) {
        if (ident_of(thread) != key.first) continue;
        for (const pyframes::FrameCopy& frame : thread.frames) print(frame);
      }
    }
    std::fprintf(stderr, "\n");
  }

  void print(const pyframes::FrameCopy& frame) {
    const auto code = pyframes::read_code_head(reading_, frame.code);
    if (!code) return;
    const std::int64_t at = pyframes::instruction_of(reading_, frame, **code).value_or(-1);
    std::fprintf(stderr, " %s at %ld", pyframes::code_name(reading_, frame.code).str().c_str(),
                 static_cast<long>(at));
    if (at < 0 || (*code)->instructions.is_null()) return;
    const auto opcode =
        reading_.memory.read_value<std::uint8_t>((*code)->instructions + static_cast<std::uint64_t>(at));
    if (opcode) std::fprintf(stderr, " (opcode %d)", *opcode);
  }

  const pyframes::ReadOptions options_;
  pyframes::Reading reading_;
  const std::vector<Address>& locks_;
  pyframes::RuntimeCopy copy_;
  Holds fields_, found_;
  std::map<Holds::key_type, std::string> rules_;
  std::map<Address, std::set<std::uint64_t>> generators_;  // suspended, and the threads that refer to each
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  std::vector<Address> locks;
  for (int i = 3; i < argc; ++i) locks.emplace_back(std::strtoull(argv[i], nullptr, 0));
  auto attachment = attach::Attachment::prepare(std::atoi(argv[1]));
  if (!attachment) return std::fprintf(stderr, "%s\n", attachment.error().message.c_str()), 1;
  auto runtime = pyframes::find_runtime(attachment->target());
  if (!runtime) return std::fprintf(stderr, "%s\n", runtime.error().message.c_str()), 1;
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  Count count;
  for (int look = 0; look < std::atoi(argv[2]); ++look) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    auto stop = attachment->hold({.pause_budget = 60s, .copy_stacks = true},
                                 [&](attach::Target& held) { Look(*runtime, held, locks).compare(count); });
    if (!stop) return std::fprintf(stderr, "%s\n", stop.error().message.c_str()), 1;
  }
  std::printf("%ld %ld %ld\n", count.slots, count.wrong, count.missed);
  return 0;
}
