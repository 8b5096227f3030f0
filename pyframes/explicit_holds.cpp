#include "pyframes/explicit_holds.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/frames.h"
#include "pyframes/hold_rules.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

bool is_acquire(const MethodCall& call) {
  return call.method == "acquire" || call.method == "__enter__";
}
bool is_release(const MethodCall& call) {
  return call.method == "release" || call.method == "__exit__";
}

class ExplicitHolds {
 public:
  ExplicitHolds(Reading& reading, const FrameCopy& frame) : reading_(reading), frame_(frame) {
    calls_ = method_calls(reading, frame.code);
    if (!calls_ || !has_any()) return;
    const Result<std::shared_ptr<const Code>> code = read_code_head(reading, frame.code);
    if (!code) return;
    current_ = instruction_of(reading, frame, **code);
    bytecode_ = read_bytecode(reading, frame.code);
  }

  // Not where nothing is acquired or released by hand, as in most code.
  bool known() const { return current_ && bytecode_; }

  std::vector<ExplicitHold> find(const std::set<Address>& wanted) {
    for (const std::int64_t handler : open_handlers(reading_, frame_)) in_handler(handler, wanted);
    if (!is_library_frame(reading_, frame_)) {
      for (const MethodCall& call : *calls_) acquired_before(call, wanted);
    }
    return std::move(found_);
  }

  // It stands in `acquire()` of the object.
  bool acquires_now(Address object) {
    return std::any_of(calls_->begin(), calls_->end(), [&](const MethodCall& call) {
      return call.call == *current_ && call.method == "acquire" && is_of(call, object);
    });
  }

  // What was released last, of all that the frame acquires and releases.
  std::vector<Address> released() {
    std::vector<Address> found;
    for (const MethodCall& call : *calls_) {
      if (!is_release(call) || call.call >= *current_) continue;
      const std::optional<Address> object = lock_of(call);
      if (!object || std::find(found.begin(), found.end(), *object) != found.end()) continue;
      if (is_release(*last_of(*object, 0))) found.push_back(*object);
    }
    return found;
  }

  // The last of acquire and release of the object that stands in [begin, the current instruction).
  const MethodCall* last_of(Address object, std::int64_t begin) {
    const MethodCall* last = nullptr;
    for (const MethodCall& call : *calls_) {
      if (call.call < begin || call.call >= *current_) continue;
      if ((is_acquire(call) || is_release(call)) && is_of(call, object)) last = &call;
    }
    return last;
  }

 private:
  bool has_any() const {
    return std::any_of(calls_->begin(), calls_->end(),
                       [](const MethodCall& call) { return is_acquire(call) || is_release(call); });
  }

  std::optional<Address> lock_of(const MethodCall& call) {
    const std::optional<Address> object = evaluate(reading_, frame_, call.object);
    return object ? std::optional(lock_behind(reading_, *object)) : std::nullopt;
  }

  bool is_of(const MethodCall& call, Address object) { return lock_of(call) == object; }

  // The handler runs to the RERAISE that ends it.
  void in_handler(std::int64_t handler, const std::set<Address>& wanted) {
    std::int64_t end = handler;
    std::int64_t branch = -1;
    for (const Instruction& each : bytecode_->instructions) {
      if (each.at < handler) continue;
      if (branch < 0 && each.op == Op::branch) branch = each.at;
      end = each.at;
      if (each.op == Op::reraise) break;
    }
    for (const MethodCall& call : *calls_) {
      if (!is_release(call) || call.load < handler || call.call > end) continue;
      const std::optional<Address> object = lock_of(call);
      if (!object || !wanted.contains(*object)) continue;
      const MethodCall* last = last_of(*object, 0);
      const bool acquires = std::any_of(calls_->begin(), calls_->end(), [&](const MethodCall& each) {
        return is_acquire(each) && is_of(each, *object);
      });
      // It stands inside the try, and has not come back yet; or it was given back already.
      if (last == nullptr ? acquires : is_release(*last)) continue;
      // A baton is given on by who has not taken it.
      const char* doubt = last == nullptr                     ? ", and nowhere acquires it"
                          : acquires_now(*object)             ? again_as_signal
                          : last->may_have_failed             ? ", and nothing tells that it was acquired"
                          : branch >= 0 && branch < call.load ? ", under a condition"
                                                              : "";
      add(*object, *doubt != 0 ? PyHoldTrust::likely : PyHoldTrust::inferred, hold_rule::try_finally,
          std::string("one of its frames is inside a try whose handler releases it") + doubt,
          last != nullptr ? last->call : handler);
    }
  }

  void acquired_before(const MethodCall& call, const std::set<Address>& wanted) {
    if (!is_acquire(call) || call.call >= *current_) return;
    const std::optional<Address> object = lock_of(call);
    if (!object || !wanted.contains(*object)) return;
    const MethodCall* last = last_of(*object, 0);
    if (last == nullptr || !is_acquire(*last)) return;
    add(*object, PyHoldTrust::likely, hold_rule::acquired_before,
        "one of its frames stands behind an acquire of it, and no release stands between", last->call);
  }

  void add(Address object, PyHoldTrust trust, const char* rule, std::string evidence, std::int64_t taken) {
    const bool known = std::any_of(found_.begin(), found_.end(), [&](const ExplicitHold& each) {
      return each.lock.object == object && each.lock.trust <= trust;
    });
    if (known) return;
    ExplicitHold hold;
    hold.lock.object = object;
    hold.lock.trust = trust;
    hold.lock.rule = rule;
    hold.lock.evidence = std::move(evidence);
    hold.taken = taken;
    found_.push_back(std::move(hold));
  }

  Reading& reading_;
  const FrameCopy& frame_;
  std::optional<std::int64_t> current_;
  std::shared_ptr<const std::vector<MethodCall>> calls_;
  std::shared_ptr<const Bytecode> bytecode_;
  std::vector<ExplicitHold> found_;
};

// `waiter.acquire()` in Condition.wait and the like: the lock is a part of what the module makes. logging
// uses locks as a program does.
bool is_part_of_lock(Reading& reading, const FrameCopy& frame) {
  return is_library_frame(reading, frame) && module_of(reading, frame) != "logging";
}

}  // namespace

std::vector<ExplicitHold> explicit_holds(Reading& reading, const FrameCopy& frame,
                                         const std::set<Address>& wanted) {
  if (wanted.empty() || is_part_of_lock(reading, frame)) return {};
  ExplicitHolds holds(reading, frame);
  return holds.known() ? holds.find(wanted) : std::vector<ExplicitHold>{};
}

std::vector<Address> released_before(Reading& reading, const FrameCopy& frame) {
  ExplicitHolds holds(reading, frame);
  return holds.known() ? holds.released() : std::vector<Address>{};
}

bool acquires_again(Reading& reading, const FrameCopy& frame, Address object) {
  ExplicitHolds holds(reading, frame);
  return holds.known() && holds.acquires_now(object);
}

bool is_released_inside(Reading& reading, const FrameCopy& frame, Address object, const OpenWith& block) {
  ExplicitHolds holds(reading, frame);
  if (!holds.known()) return false;
  const MethodCall* last = holds.last_of(object, block.begin);
  return last != nullptr && is_release(*last);
}

}  // namespace pythreads::pyframes
