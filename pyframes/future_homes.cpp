#include "pyframes/future_homes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pyframes/code.h"
#include "pyframes/deque_items.h"
#include "pyframes/frames.h"
#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_items = 1024;    // of one queue
constexpr std::size_t max_callbacks = 64;  // of one future
constexpr std::size_t handle_words = 12;   // of an asyncio Handle, its head left out
constexpr std::uint64_t word = 8;

// What a loop will call, or is to be told by, and by which it completes a future of its closure: a function
// of this name and module.
struct LoopFunction {
  std::string_view module, name;
};
constexpr LoopFunction starter{"asyncio.tasks", "callback"};              // in run_coroutine_threadsafe
constexpr LoopFunction chained{"asyncio.futures", "_call_check_cancel"};  // of a chain's destination

class Homes {
 public:
  Homes(Reading& reading, const std::vector<Address>& futures) : reading_(reading), futures_(futures) {}

  void search_queue(Address queue) {
    for (const Address item : items_of(queue)) {
      const Result<std::optional<Address>> future = find_attribute(layout(), reading_.memory, item, "future");
      if (!future || !*future || !is_asked(**future)) continue;
      with_described(**future, [&](PySyncObject& object) { object.queue = queue; });
    }
  }

  void search_loop(Address loop) {
    const Result<std::optional<Address>> ready = find_attribute(layout(), reading_.memory, loop, "_ready");
    if (ready && *ready) {
      for (const Address handle : deque_items(reading_, **ready, max_items)) {
        for (const Address cell : cells_behind(handle)) {
          if (is_asked(cell)) with_described(cell, [&](PySyncObject& object) { object.loop = loop; });
        }
      }
    }
    for (const Address future : futures_) {
      const Result<std::optional<Address>> callbacks =
          find_attribute(layout(), reading_.memory, future, "_done_callbacks");
      if (!callbacks || !*callbacks || !has_flag(**callbacks, type_flag::list_subclass)) continue;
      const Result<Items> items = read_list(layout(), reading_.memory, **callbacks, max_callbacks);
      if (!items) continue;
      for (const Address callback : items->items) {
        const std::vector<Address> cells = closure_of(reading_, callback);
        if (cells.empty() || !is_function(callback, chained)) continue;
        if (std::find(cells.begin(), cells.end(), loop) != cells.end())
          with_described(future, [&](PySyncObject& object) { object.loop = loop; });
      }
    }
  }

 private:
  const RuntimeLayout& layout() const { return reading_.layout(); }
  std::uint64_t head() const { return static_cast<std::uint64_t>(layout().object.size); }
  bool is_asked(Address object) const {
    return std::find(futures_.begin(), futures_.end(), object) != futures_.end();
  }
  bool has_flag(Address object, std::uint64_t flag) {
    const Result<std::uint64_t> flags = object_flags(layout(), reading_.memory, object);
    return flags && (*flags & flag) != 0;
  }
  template <typename Change>
  void with_described(Address future, Change change) {
    if (describe_sync_object(reading_, future) != nullptr) change(*reading_.sync_objects.at(future));
  }
  std::optional<std::uint64_t> read_word(Address at) {
    const Result<std::uint64_t> value = reading_.memory.read_value<std::uint64_t>(at);
    return value ? std::optional(*value) : std::nullopt;
  }

  std::vector<Address> items_of(Address queue) {
    const PySyncObject* known = describe_sync_object(reading_, queue);
    if (known == nullptr) return {};
    if (known->kind == PySyncKind::queue) {
      const Result<std::optional<Address>> deque = find_attribute(layout(), reading_.memory, queue, "queue");
      return deque && *deque ? deque_items(reading_, **deque, max_items) : std::vector<Address>{};
    }
    if (known->kind != PySyncKind::simple_queue) return {};
    const Result<Address> type = type_of(layout(), reading_.memory, queue);
    const auto fact = type ? reading_.sync_types.find(*type) : reading_.sync_types.end();
    const SimpleQueueLayout* of =
        fact == reading_.sync_types.end() ? nullptr : find_simple_queue_layout(fact->second.size);
    if (of == nullptr) return {};
    return of->list.exists() ? list_items(queue, *of) : ring_items(queue, *of);
  }

  std::vector<Address> list_items(Address queue, const SimpleQueueLayout& of) {
    const auto list = read_word(queue + head() + static_cast<std::uint64_t>(of.list.offset));
    const auto taken = read_word(queue + head() + static_cast<std::uint64_t>(of.list_position.offset));
    if (!list || !taken) return {};
    const Result<Items> items = read_list(layout(), reading_.memory, Address(*list), *taken + max_items);
    if (!items || *taken > items->items.size()) return {};
    return {items->items.begin() + static_cast<std::ptrdiff_t>(*taken), items->items.end()};
  }

  std::vector<Address> ring_items(Address queue, const SimpleQueueLayout& of) {
    const auto at = [&](auto field) {
      return read_word(queue + head() + static_cast<std::uint64_t>(field.offset));
    };
    const auto first = at(of.get), items = at(of.items), capacity = at(of.capacity), num = at(of.num);
    if (!first || !items || !capacity || !num || *capacity == 0 || *capacity > 1U << 28) return {};
    std::vector<Address> found;
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>({*num, *capacity, max_items}); ++i) {
      const auto item = read_word(Address(*items) + (*first + i) % *capacity * word);
      if (!item) break;
      if (*item != 0) found.emplace_back(*item);
    }
    return found;
  }

  // Of what closure_of found to be a function.
  bool is_function(Address function, const LoopFunction& wanted) {
    const auto& fields = layout().function;
    if (!fields.func_code.exists() || !fields.func_globals.exists()) return false;
    const auto code = read_word(function + static_cast<std::uint64_t>(fields.func_code.offset));
    if (!code || code_name(reading_, Address(*code)) != wanted.name) return false;
    const auto globals = read_word(function + static_cast<std::uint64_t>(fields.func_globals.offset));
    return globals && module_of(reading_, Address(*globals)) == wanted.module;
  }

  // The cells of the function that starts a coroutine, if the words of a loop's handle refer to one.
  std::vector<Address> cells_behind(Address object) {
    std::vector<std::uint64_t> words(handle_words);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(words));
    words.resize(reading_.memory.read_up_to(object + head(), bytes) / word);
    std::vector<Address> cells;
    for (const std::uint64_t each : words) {
      if (each < 4096 || each % word != 0) continue;
      const std::vector<Address> more = closure_of(reading_, Address(each));
      if (more.empty() || !is_function(Address(each), starter)) continue;
      cells.insert(cells.end(), more.begin(), more.end());
    }
    return cells;
  }

  Reading& reading_;
  const std::vector<Address>& futures_;
};

}  // namespace

void find_future_homes(Reading& reading, const std::vector<Address>& futures,
                       const std::vector<Address>& queues, const std::vector<Address>& loops) {
  if (futures.empty()) return;
  Homes homes(reading, futures);
  for (const Address queue : queues) homes.search_queue(queue);
  for (const Address loop : loops) homes.search_loop(loop);
}

}  // namespace pythreads::pyframes
