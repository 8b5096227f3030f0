// compare_holds PID LOOKS ADDRESS…: stops the process LOOKS times at random moments, and compares what the
// open `with` blocks of its frames say with the owner fields of the RLocks at these addresses. Both are read
// in the same stop; the reader of blocks does not look at the fields here, so that a false hold is seen as
// one.
//
// Prints one line: slots, false, missed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "attach/attachment.h"
#include "pyframes/code.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/interpreters.h"
#include "pyframes/lock_managers.h"
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

// {(ident, lock): how often}, by the fields and by the blocks.
using Holds = std::map<std::pair<std::uint64_t, Address>, long>;

void count_blocks(pyframes::Reading& reading, const pyframes::FrameCopy& frame, std::uint64_t ident,
                  std::optional<Address> given_back, Holds& found) {
  for (const pyframes::OpenWith& open : pyframes::open_with_blocks(reading, frame)) {
    for (const pyframes::ManagedLock& lock : pyframes::locks_of_manager(reading, open.manager)) {
      if (given_back == lock.object || lock.trust == pyframes::PyHoldTrust::likely) continue;
      ++found[{ident, lock.object}];
      if (std::getenv("EXPLAIN") != nullptr) {
        const auto code = pyframes::read_code_head(reading, frame.code);
        std::fprintf(stderr, "  0x%lx by %s in %s at %ld, handler %ld\n",
                     static_cast<unsigned long>(lock.object.value), lock.rule.c_str(),
                     pyframes::code_name(reading, frame.code).c_str(),
                     static_cast<long>(pyframes::instruction_of(reading, frame, **code).value_or(-1)),
                     static_cast<long>(open.handler));
      }
    }
  }
}

// Generators that a frame refers to, which are suspended inside a block.
void count_suspended(pyframes::Reading& reading, const pyframes::FrameCopy& frame, std::uint64_t ident,
                     std::set<Address>& seen, Holds& found) {
  const auto size = pyframes::frame_size(reading, frame.code);
  if (!size) return;
  const auto words = pyframes::read_slots(reading, pyframes::frame_slots(reading.layout(), frame, *size), 0,
                                          size->variables + size->value_stack);
  if (!words) return;
  for (const std::uint64_t word : *words) {
    const auto object = pyframes::referred_object(reading.layout(), word);
    if (!object || !seen.insert(*object).second) continue;
    const auto suspended = pyframes::suspended_frame(reading, *object);
    // What a context manager's generator holds is counted where its block is open.
    if (suspended && pyframes::code_name(reading, suspended->code) != "managed")
      count_blocks(reading, *suspended, ident, std::nullopt, found);
  }
}

void compare(const pyframes::Runtime& runtime, attach::Target& target, const std::vector<Address>& locks,
             Count& count) {
  const pyframes::ReadOptions options;
  pyframes::Reading reading{.runtime = runtime,
                            .target = target,
                            .memory = *target.memory,
                            .lasting = *target.memory,
                            .options = options,
                            .held = true};
  pyframes::RuntimeCopy copy = pyframes::copy_interpreters(reading);
  pyframes::match_os_threads(reading, copy);
  pyframes::chain_frames(reading, copy);
  Holds truth, found;
  for (const Address lock : locks) {
    const pyframes::PySyncObject* object = pyframes::describe_sync_object(reading, lock);
    if (object == nullptr || !object->owner_ident || !object->count) continue;
    truth[{*object->owner_ident, lock}] = *object->count;
  }
  for (const pyframes::InterpreterCopy& interpreter : copy.interpreters) {
    for (const pyframes::ThreadCopy& thread : interpreter.threads) {
      const std::uint64_t ident = thread.tstate.get(runtime.layout.thread_state.thread_id).value_or(0);
      // A Condition that is waited on has given its lock back, as often as it was taken.
      std::optional<Address> given_back;
      for (std::size_t i = 0; i < thread.frames.size() && i < 3; ++i) {
        if (pyframes::code_name(reading, thread.frames[i].code) != "wait" ||
            pyframes::module_of(reading, thread.frames[i]) != "threading") {
          continue;
        }
        const auto self = pyframes::find_variable(reading, thread.frames[i], "self");
        const pyframes::PySyncObject* known = self ? pyframes::describe_sync_object(reading, *self) : nullptr;
        if (known != nullptr && !known->lock.is_null()) given_back = known->lock;
      }
      for (std::size_t i = 0; i < thread.frames.size(); ++i) {
        if (pyframes::may_be_unwinding(reading, thread, i)) continue;  // never more than likely
        count_blocks(reading, thread.frames[i], ident, given_back, found);
      }
      std::set<Address> seen;
      for (const pyframes::FrameCopy& frame : thread.frames)
        count_suspended(reading, frame, ident, seen, found);
    }
  }
  for (const auto& [key, times] : truth) {
    count.slots += times;
    const auto seen = found.find(key);
    count.missed += std::max(0L, times - (seen == found.end() ? 0 : seen->second));
  }
  for (const auto& [key, times] : found) {
    const bool asked = std::find(locks.begin(), locks.end(), key.second) != locks.end();
    const auto real = truth.find(key);
    const long extra = times - (real == truth.end() ? 0 : real->second);
    if (!asked || extra <= 0) continue;
    count.wrong += extra;
    if (std::getenv("EXPLAIN") != nullptr) {
      for (const pyframes::InterpreterCopy& interpreter : copy.interpreters)
        for (const pyframes::ThreadCopy& thread : interpreter.threads) {
          if (thread.tstate.get(runtime.layout.thread_state.thread_id).value_or(0) != key.first) continue;
          for (const auto& frame : thread.frames) {
            const auto code = pyframes::read_code_head(reading, frame.code);
            std::fprintf(stderr, "    frame %s at %ld\n", pyframes::code_name(reading, frame.code).c_str(),
                         static_cast<long>(pyframes::instruction_of(reading, frame, **code).value_or(-1)));
          }
        }
      for (const auto& [k, n] : truth)
        if (k.first == key.first)
          std::fprintf(stderr, "    truth 0x%lx %ld\n", static_cast<unsigned long>(k.second.value), n);
      for (const auto& [k, n] : found)
        if (k.first == key.first)
          std::fprintf(stderr, "    found 0x%lx %ld\n", static_cast<unsigned long>(k.second.value), n);
    }
    std::fprintf(stderr, "false: thread 0x%lx holds 0x%lx %ld times, its field says %ld\n",
                 static_cast<unsigned long>(key.first), static_cast<unsigned long>(key.second.value), times,
                 real == truth.end() ? 0L : real->second);
  }
}

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
                                 [&](attach::Target& held) { compare(*runtime, held, locks, count); });
    if (!stop) return std::fprintf(stderr, "%s\n", stop.error().message.c_str()), 1;
  }
  std::printf("%ld %ld %ld\n", count.slots, count.wrong, count.missed);
  return 0;
}
