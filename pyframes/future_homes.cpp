#include "pyframes/future_homes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "pyframes/lock_layouts.h"
#include "pyframes/objects.h"
#include "pyframes/sync_objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_items = 1024;    // of one queue
constexpr std::size_t max_callbacks = 64;  // of one future
constexpr std::size_t max_cells = 16;      // of one closure
constexpr std::size_t handle_words = 12;   // of an asyncio Handle, its head left out
constexpr std::uint64_t word = 8;

// collections.deque: {ob_size, leftblock, rightblock, leftindex} behind the head, blocks of 64.
constexpr std::uint64_t deque_left_block = 8, deque_left_index = 24;
constexpr std::int64_t block_length = 64;
constexpr std::uint64_t block_data = 8, block_right = 8 + 8 * 64;

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
      for (const Address handle : deque_items(**ready)) {
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
        const std::vector<Address> cells = closure_of(callback);
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
      return deque && *deque ? deque_items(**deque) : std::vector<Address>{};
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

  std::vector<Address> deque_items(Address deque) {
    const Result<std::string> type = [&]() -> Result<std::string> {
      const Result<Address> of = type_of(layout(), reading_.memory, deque);
      if (!of) return of.error();
      return type_name(layout(), reading_.lasting, *of);
    }();
    if (!type || *type != "collections.deque") return {};
    const auto size = read_word(deque + head());
    const auto block = read_word(deque + head() + deque_left_block);
    const auto index = read_word(deque + head() + deque_left_index);
    if (!size || !block || !index) return {};
    std::vector<Address> found;
    Address at(*block);
    auto place = static_cast<std::int64_t>(*index);
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(*size, max_items); ++i, ++place) {
      if (place == block_length) {
        const auto right = read_word(at + block_right);
        if (!right) break;
        at = Address(*right);
        place = 0;
      }
      if (place < 0 || place > block_length) break;
      const auto item = read_word(at + block_data + static_cast<std::uint64_t>(place) * word);
      if (!item) break;
      if (*item != 0) found.emplace_back(*item);
    }
    return found;
  }

  // The cells of every function that the words of an object refer to.
  std::vector<Address> cells_behind(Address object) {
    std::vector<std::uint64_t> words(handle_words);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(words));
    words.resize(reading_.memory.read_up_to(object + head(), bytes) / word);
    std::vector<Address> cells;
    for (const std::uint64_t each : words) {
      if (each < 4096 || each % word != 0) continue;
      const std::vector<Address> more = closure_of(Address(each));
      cells.insert(cells.end(), more.begin(), more.end());
    }
    return cells;
  }

  // What the cells of a function's closure hold; empty for what is no function.
  std::vector<Address> closure_of(Address object) {
    std::vector<Address> held;
    const Result<Address> type = type_of(layout(), reading_.memory, object);
    if (!type || type->is_null()) return held;
    const Result<std::string> name = type_name(layout(), reading_.lasting, *type);
    if (!name || *name != "function" || !layout().function.func_closure.exists()) return held;
    const auto closure =
        read_word(object + static_cast<std::uint64_t>(layout().function.func_closure.offset));
    if (!closure || *closure == 0 || !has_flag(Address(*closure), type_flag::tuple_subclass)) return held;
    const Result<Items> cells = read_tuple(layout(), reading_.memory, Address(*closure), max_cells);
    if (!cells) return held;
    for (const Address cell : cells->items) {
      const auto value = read_word(cell + static_cast<std::uint64_t>(layout().cell.ob_ref.offset));
      if (value && *value != 0) held.emplace_back(*value);
    }
    return held;
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
