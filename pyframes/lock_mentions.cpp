#include "pyframes/lock_mentions.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "pyframes/code.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_threads = 64;
constexpr std::size_t max_frames = 8;  // of one thread
constexpr std::size_t max_attributes = 256;

class Mentions {
 public:
  Mentions(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    find_unowned();
    if (unowned_.empty()) return;
    std::size_t looked = 0;
    for_each_thread([&](const ThreadCopy& frames, PyThread& thread) {
      if (looked++ >= max_threads) return;
      for (std::size_t i = 0; i < std::min(frames.frames.size(), max_frames); ++i)
        search_frame(frames.frames[i], i, thread);
    });
  }

 private:
  template <typename Visit>
  void for_each_thread(Visit visit) {
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      const std::vector<ThreadCopy>& copies = copy_.interpreters[i].threads;
      std::vector<PyThread>& threads = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), copies.size()); ++j) visit(copies[j], threads[j]);
    }
  }

  void find_unowned() {
    for_each_thread([&](const ThreadCopy& frames, PyThread& thread) {
      if (!thread.lock_wait || waits_on_private_lock(reading_, frames)) return;
      const PySyncObject* object = find_sync_object(state_, thread.lock_wait->object);
      if (object != nullptr && object->kind == PySyncKind::lock) unowned_.insert(object->address);
    });
    for_each_thread([&](const ThreadCopy&, PyThread& thread) {
      for (const PyHeldLock& held : thread.held) unowned_.erase(held.object);
    });
  }

  void search_frame(const FrameCopy& frame, std::size_t index, PyThread& thread) {
    if (is_library_frame(reading_, frame)) return;
    const auto mention = [&](Address object, std::string expression) {
      const bool waits = thread.lock_wait && thread.lock_wait->object == object;
      const bool known = std::any_of(thread.mentions.begin(), thread.mentions.end(),
                                     [&](const PyMention& each) { return each.object == object; });
      if (!waits && !known) thread.mentions.push_back({object, index, std::move(expression)});
    };
    for (const FrameVariable& each : frame_variables(reading_, frame).variables) {
      if (unowned_.contains(each.object)) mention(each.object, each.name);
      if (each.name != "self" && each.name != "cls") continue;
      const Result<DictItems> items =
          read_attributes(reading_.layout(), reading_.memory, each.object, max_attributes);
      if (!items) continue;
      for (const DictEntry& entry : items->entries) {
        if (!unowned_.contains(entry.value)) continue;
        const Result<std::uint64_t> flags = object_flags(reading_.layout(), reading_.lasting, entry.key);
        if (!flags || (*flags & type_flag::unicode_subclass) == 0) continue;
        const Result<StrValue> name =
            read_str(reading_.layout(), reading_.lasting, entry.key, max_name_length);
        if (name) mention(entry.value, each.name + '.' + name->text);
      }
    }
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::set<Address> unowned_;
};

}  // namespace

void read_lock_mentions(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  Mentions(reading, copy, state).run();
}

bool waits_on_private_lock(Reading& reading, const ThreadCopy& thread) {
  if (thread.frames.empty() || module_of(reading, thread.frames.front()) != "threading") return false;
  const Result<std::shared_ptr<const Code>> code = read_code(reading, thread.frames.front().code);
  return code && ((*code)->name == "wait" || (*code)->name == "_wait_for_tstate_lock");
}

}  // namespace pythreads::pyframes
