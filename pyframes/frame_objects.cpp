#include "pyframes/frame_objects.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pyframes/code.h"
#include "pyframes/frame_variables.h"
#include "pyframes/frames.h"
#include "pyframes/future_homes.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

struct NotedVariable {
  std::string_view module;
  std::string_view function;
  std::string_view variable;
  std::string_view attribute;  // of the variable's value; empty: the value itself
};

// Functions of the same name in one module (wait of Event, Condition and Barrier) need no telling apart: the
// object's type does it.
constexpr std::array noted_variables{
    NotedVariable{"threading", "wait", "self", ""},
    NotedVariable{"threading", "wait_for", "self", ""},
    NotedVariable{"threading", "acquire", "self", ""},
    NotedVariable{"threading", "_wait", "self", ""},
    NotedVariable{"threading", "_enter", "self", ""},
    NotedVariable{"threading", "join", "self", ""},
    NotedVariable{"threading", "_wait_for_tstate_lock", "self", ""},
    NotedVariable{"threading", "_acquire_restore", "self", ""},
    NotedVariable{"threading", "__enter__", "self", ""},
    NotedVariable{"threading", "start", "self", "_started"},
    NotedVariable{"threading", "_shutdown", "t", ""},     // non-daemon threads, 3.8
    NotedVariable{"threading", "_shutdown", "lock", ""},  // 3.9 to 3.12: a thread's tstate lock
    NotedVariable{"queue", "get", "self", ""},
    NotedVariable{"queue", "put", "self", ""},
    NotedVariable{"queue", "join", "self", ""},
    NotedVariable{"concurrent.futures._base", "result", "self", ""},
    NotedVariable{"concurrent.futures._base", "exception", "self", ""},
    NotedVariable{"concurrent.futures._base", "wait", "waiter", "event"},
    NotedVariable{"concurrent.futures._base", "as_completed", "waiter", "event"},
    NotedVariable{"concurrent.futures.thread", "_worker", "work_queue", ""},
    NotedVariable{"concurrent.futures.thread", "_worker", "executor_reference", ""},
    NotedVariable{"concurrent.futures.thread", "run", "self", "future"},
    NotedVariable{"importlib._bootstrap", "acquire", "self", ""},
    NotedVariable{"_frozen_importlib", "acquire", "self", ""},
    NotedVariable{"importlib._bootstrap", "_find_and_load", "name", ""},
    NotedVariable{"asyncio.base_events", "run_forever", "self", ""},
    NotedVariable{"multiprocessing.synchronize", "__enter__", "self", "_semlock"},
    NotedVariable{"multiprocessing.queues", "get", "self", "_rlock"},
    NotedVariable{"multiprocessing.queues", "put", "self", "_sem"},
};

// The futures that concurrent.futures.wait and as_completed wait for stand in a set each.
struct NotedFutures {
  std::string_view function;
  std::string_view variable;
};
constexpr std::array noted_futures{NotedFutures{"wait", "not_done"}, NotedFutures{"wait", "fs"},
                                   NotedFutures{"as_completed", "pending"},
                                   NotedFutures{"as_completed", "fs"}};

constexpr std::size_t max_frames = 200;   // of one thread, innermost and outermost halves
constexpr std::size_t max_futures = 128;  // of one set

class FrameObjects {
 public:
  FrameObjects(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state)
      : reading_(reading), copy_(copy), state_(state) {}

  void run() {
    find_noted_frames();
    if (reading_.held) {
      std::vector<const FrameCopy*> frames;
      for (const Noted& each : noted_) frames.push_back(each.frame);
      fetch_frame_variables(reading_, frames);
      fetch_objects(frames);
    }
    for (const Noted& each : noted_) note(each);
    find_future_homes(reading_, futures_, queues_, loops_);
  }

 private:
  // What the tables have for a code object.
  struct NotedCode {
    std::vector<const NotedVariable*> variables;
    std::vector<const NotedFutures*> futures;
  };
  struct Noted {
    PyThread* thread = nullptr;
    std::size_t index = 0;
    const FrameCopy* frame = nullptr;
    const NotedCode* code = nullptr;
  };

  void find_noted_frames() {
    for (std::size_t i = 0; i < std::min(copy_.interpreters.size(), state_.interpreters.size()); ++i) {
      const std::vector<ThreadCopy>& threads = copy_.interpreters[i].threads;
      std::vector<PyThread>& states = state_.interpreters[i].threads;
      for (std::size_t j = 0; j < std::min(threads.size(), states.size()); ++j) {
        const std::vector<FrameCopy>& frames = threads[j].frames;
        for (std::size_t k = 0; k < frames.size(); ++k) {
          if (k >= max_frames / 2 && k + max_frames / 2 < frames.size()) continue;
          const NotedCode& code = noted_code(frames[k]);
          if (!code.variables.empty()) noted_.push_back({&states[j], k, &frames[k], &code});
        }
      }
    }
  }

  const NotedCode& noted_code(const FrameCopy& frame) {
    const auto [found, added] = noted_codes_.try_emplace(frame.code);
    if (!added) return found->second;
    // The globals are asked only where the name fits.
    const std::string& name = code_name(reading_, frame.code);
    for (const NotedVariable& row : noted_variables) {
      if (row.function == name && row.module == module_of(reading_, frame))
        found->second.variables.push_back(&row);
    }
    for (const NotedFutures& row : noted_futures) {
      if (row.function == name && module_of(reading_, frame) == "concurrent.futures._base")
        found->second.futures.push_back(&row);
    }
    return found->second;
  }

  // The objects' heads, for all of them in one wave.
  void fetch_objects(const std::vector<const FrameCopy*>& frames) {
    constexpr std::uint64_t before = 32, bytes = 256;  // attributes lie before the object in 3.11 and later
    std::vector<attach::Range> wave;
    for (const FrameCopy* frame : frames) {
      const std::optional<Address> self = find_variable(reading_, *frame, "self");
      if (self && self->value > before) wave.push_back({*self - before, bytes});
    }
    reading_.memory.prefetch(wave);
  }

  void note(const Noted& noted) {
    for (const NotedVariable* row : noted.code->variables) {
      std::optional<Address> object = find_variable(reading_, *noted.frame, row->variable);
      if (!object) continue;
      if (!row->attribute.empty()) {
        const Result<std::optional<Address>> value =
            find_attribute(reading_.layout(), reading_.memory, *object, row->attribute);
        object = value ? *value : std::nullopt;
      }
      if (object) add_object(noted, *row, follow_weak_reference(*object));
    }
    for (const NotedFutures* row : noted.code->futures) add_futures(noted, row->variable);
  }

  void add_object(const Noted& noted, const NotedVariable& row, Address object) {
    const PySyncObject* known = describe_sync_object(reading_, object);
    if (known == nullptr) return;
    std::string variable(row.variable);
    if (!row.attribute.empty()) variable += '.' + std::string(row.attribute);
    if (known->kind == PySyncKind::lock && row.function == "_shutdown") find_thread_of(object, *noted.frame);
    noted.thread->frame_objects.push_back({noted.index, std::move(variable), object});
    remember(*known);
  }

  // To 3.12 a thread's end is a lock that it releases: Thread._tstate_lock.
  void find_thread_of(Address lock, const FrameCopy& frame) {
    const RuntimeLayout& layout = reading_.layout();
    const Result<std::optional<Address>> active =
        find_in_dict(layout, reading_.memory, globals_of(layout, frame), "_active", reading_.key_search());
    if (!active || !*active) return;
    const Result<DictItems> threads =
        read_dict(layout, reading_.memory, **active, reading_.options.max_threads);
    if (!threads) return;
    for (const DictEntry& each : threads->entries) {
      const Result<std::optional<Address>> own =
          find_attribute(layout, reading_.memory, each.value, "_tstate_lock");
      if (!own || *own != lock) continue;
      const PySyncObject* thread = describe_sync_object(reading_, each.value);
      if (thread != nullptr) reading_.sync_objects.at(lock)->thread_ident = thread->thread_ident;
      return;
    }
  }

  void add_futures(const Noted& noted, std::string_view variable) {
    const std::optional<Address> set = find_variable(reading_, *noted.frame, variable);
    if (!set) return;
    const Result<Address> type = type_of(reading_.layout(), reading_.memory, *set);
    const Result<std::string> name =
        type ? type_name(reading_.layout(), reading_.lasting, *type) : Result<std::string>(type.error());
    if (!name) return;
    const Result<Items> items =
        *name == "set"    ? read_set(reading_.layout(), reading_.memory, *set, max_futures)
        : *name == "list" ? read_list(reading_.layout(), reading_.memory, *set, max_futures)
                          : Result<Items>(Items{});
    if (!items) return;
    for (const Address item : items->items) {
      const PySyncObject* known = describe_sync_object(reading_, item);
      if (known == nullptr || known->kind != PySyncKind::future || known->finished.value_or(true)) continue;
      const auto same = [&](const PyFrameObject& each) {
        return each.object == item && each.frame == noted.index;
      };
      if (std::any_of(noted.thread->frame_objects.begin(), noted.thread->frame_objects.end(), same)) continue;
      noted.thread->frame_objects.push_back({noted.index, "pending", item});
      remember(*known);
    }
  }

  void remember(const PySyncObject& object) {
    const auto add_once = [&](std::vector<Address>& into) {
      if (std::find(into.begin(), into.end(), object.address) == into.end()) into.push_back(object.address);
    };
    if (object.kind == PySyncKind::future && !object.finished.value_or(true)) add_once(futures_);
    if (object.kind == PySyncKind::simple_queue || object.kind == PySyncKind::queue) add_once(queues_);
    if (object.kind == PySyncKind::event_loop) add_once(loops_);
  }

  Address follow_weak_reference(Address object) {
    const RuntimeLayout& layout = reading_.layout();
    const Result<Address> type = type_of(layout, reading_.memory, object);
    if (!type || !layout.weak_reference.wr_object.exists()) return object;
    const Result<std::string> name = type_name(layout, reading_.lasting, *type);
    if (!name || (*name != "weakref" && *name != "weakref.ReferenceType" && *name != "weakref.ref"))
      return object;
    const Result<Address> referred = reading_.memory.read_address(
        object + static_cast<std::uint64_t>(layout.weak_reference.wr_object.offset));
    return referred && !referred->is_null() ? *referred : object;
  }

  Reading& reading_;
  const RuntimeCopy& copy_;
  PyRuntimeState& state_;
  std::vector<Noted> noted_;
  std::unordered_map<Address, NotedCode> noted_codes_;
  std::vector<Address> futures_, queues_, loops_;
};

}  // namespace

void read_frame_objects(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  FrameObjects(reading, copy, state).run();
}

}  // namespace pythreads::pyframes
