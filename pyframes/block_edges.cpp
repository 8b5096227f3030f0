#include "pyframes/block_edges.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/hold_rules.h"
#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

// Of the C stack: from taking the GIL up to the parking lot it is half of that.
constexpr std::size_t searched_stack_words = 512;

class BlockEdge {
 public:
  BlockEdge(Reading& reading, const ThreadCopy& thread, std::size_t index, bool takes_gil)
      : reading_(reading),
        thread_(thread),
        frame_(thread.frames[index]),
        innermost_(index == 0),
        takes_gil_(takes_gil) {}

  std::vector<EdgeHold> find() {
    entered();
    const std::string& name = code_name(reading_, frame_.code);
    if (name == "__enter__" && innermost_) entering();
    if (name == "__exit__") leaving();
    return std::move(found_);
  }

 private:
  // A thread that does not sleep for the lock here has got it, if it sleeps for the GIL; else it may be about
  // to try.
  void entered() {
    for (const OpenWith& open : entered_with_blocks(reading_, frame_)) {
      for (ManagedLock& lock : locks_of_manager(reading_, open.manager)) {
        if (lock.trust != PyHoldTrust::certain) continue;
        const bool got_it = innermost_ && takes_gil_ && !may_want_it_still(lock.object);
        add(std::move(lock), open.line, got_it ? PyHoldTrust::inferred : PyHoldTrust::likely,
            hold_rule::with_entering,
            std::string("one of its frames enters a with block on it") +
                (got_it ? ", and waits for the GIL to go on" : ", and does not wait for it"));
      }
    }
  }

  // A manager's own `__enter__`: what its suspended generator keeps, and what it has just entered itself.
  void entering() {
    kept_by_generator();
    if (!takes_gil_) return;
    const std::optional<std::int64_t> at = instruction();
    const std::shared_ptr<const std::vector<MethodCall>> calls = method_calls(reading_, frame_.code);
    if (!at || !calls) return;
    for (const MethodCall& call : *calls) {
      if (call.call != *at || call.method != "__enter__") continue;
      const std::optional<Address> object = evaluate(reading_, frame_, call.object);
      if (!object) continue;
      for (ManagedLock& lock : locks_of_manager(reading_, *object)) {
        if (may_want_it_still(lock.object)) continue;
        add(std::move(lock), 0, PyHoldTrust::inferred, hold_rule::with_entering,
            "its innermost frame has entered it, and waits for the GIL to go on");
      }
    }
  }

  // Who is woken from the parking lot takes the GIL before it tries to take the mutex, unless it was handed
  // over. Its wait_entry, with the mutex's address, is on its stack until then. A semaphore is taken before
  // the GIL is.
  bool may_want_it_still(Address lock) {
    const RuntimeLayout& layout = reading_.layout();
    const Result<Address> type = type_of(layout, reading_.memory, lock);
    const auto known = type ? reading_.sync_types.find(*type) : reading_.sync_types.end();
    if (known == reading_.sync_types.end()) return true;
    const LockLayout* fields = find_lock_layout(
        known->second.kind == PySyncKind::rlock ? "_thread.RLock" : "_thread.lock", known->second.size);
    if (fields == nullptr) return true;
    if (!fields->mutex.exists()) return false;
    const attach::ThreadState* thread = thread_.os_thread;
    const std::optional<Address> sp = thread == nullptr ? std::nullopt : thread->stack_pointer();
    if (!sp) return true;
    std::vector<std::uint64_t> words(searched_stack_words);
    const std::size_t got = reading_.memory.read_up_to(*sp, std::as_writable_bytes(std::span(words)));
    words.resize(got / sizeof(std::uint64_t));
    if (words.empty()) return true;
    const Address mutex = lock + static_cast<std::uint64_t>(layout.object.size) +
                          static_cast<std::uint64_t>(fields->mutex.offset);
    bool is_parked = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] != mutex.value) continue;
      if (is_handed_off(Address(words[i - 1]))) return false;
      is_parked = true;
    }
    return is_parked;
  }

  // wait_entry.park_arg, which stands before the address, is _PyMutex_LockTimed's mutex_entry.
  bool is_handed_off(Address mutex_entry) {
    const Result<std::int32_t> handed_off = reading_.memory.read_value<std::int32_t>(
        mutex_entry + static_cast<std::uint64_t>(mutex_entry_layout.handed_off.offset));
    return thread_.os_thread->stack.contains(mutex_entry) && handed_off && *handed_off == 1;
  }

  // At its start nothing has been given back, also where a signal handler or a tracer runs there.
  void leaving() {
    const std::optional<std::int64_t> at = instruction();
    const Result<std::shared_ptr<const Code>> code = read_code_head(reading_, frame_.code);
    if (!at || !code) return;
    const bool at_start = *at <= std::int64_t{(*code)->first_traceable} * 2;
    if (!at_start) {
      if (innermost_) kept_by_generator();
      return;
    }
    const std::optional<Address> manager = first_argument();
    if (!manager) return;
    for (ManagedLock& lock : locks_of_manager(reading_, *manager))
      add(std::move(lock), 0, PyHoldTrust::inferred, hold_rule::with_leaving,
          "one of its frames is at the start of the __exit__ that gives it back");
  }

  // A contextlib manager's generator that is suspended keeps what it keeps, wherever its manager has come to.
  void kept_by_generator() {
    const std::optional<Address> manager = first_argument();
    if (!manager) return;
    for (ManagedLock& lock : locks_of_manager(reading_, *manager)) {
      if (lock.rule == hold_rule::generator_manager) found_.push_back({std::move(lock), 0});
    }
  }

  std::optional<std::int64_t> instruction() {
    const Result<std::shared_ptr<const Code>> code = read_code_head(reading_, frame_.code);
    return code ? instruction_of(reading_, frame_, **code) : std::nullopt;
  }

  std::optional<Address> first_argument() {
    const Result<FrameSize> size = frame_size(reading_, frame_.code);
    if (!size || size->variables == 0) return std::nullopt;
    const Result<std::uint64_t> word = read_slot(reading_, frame_slots(reading_.layout(), frame_, *size), 0);
    const std::optional<Address> object = word ? referred_object(reading_.layout(), *word) : std::nullopt;
    return object ? follow_cell(reading_, *object) : std::nullopt;
  }

  void add(ManagedLock&& lock, int line, PyHoldTrust trust, const char* rule, std::string evidence) {
    lock.trust = std::max(lock.trust, trust);
    lock.rule = rule;
    lock.evidence = std::move(evidence);
    found_.push_back({std::move(lock), line});
  }

  Reading& reading_;
  const ThreadCopy& thread_;
  const FrameCopy& frame_;
  bool innermost_, takes_gil_;
  std::vector<EdgeHold> found_;
};

}  // namespace

std::vector<EdgeHold> holds_at_block_edge(Reading& reading, const ThreadCopy& thread, std::size_t index,
                                          bool takes_gil) {
  return BlockEdge(reading, thread, index, takes_gil).find();
}

}  // namespace pythreads::pyframes
