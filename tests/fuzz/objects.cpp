// Objects of every kind in an edited heap, by any layout: str, bytes, int, tuple, list, set, dict,
// attributes, values as a person may see them. The first byte says which layout.
#include "pyframes/objects.h"

#include <memory>

#include "pyframes/values.h"
#include "tests/fuzz/edited_heap.h"
#include "tests/fuzz/require.h"
#include "tests/support/python_heap.h"

namespace {

using namespace pythreads;            // NOLINT: one file
using namespace pythreads::pyframes;  // NOLINT
using attach::Address;
using tests::require;

struct Objects {
  explicit Objects(const RuntimeLayout& layout) : heap(layout) {
    const Address word = heap.str("a word"), number = heap.integer(1'234'567'890'123),
                  small = heap.integer(-7);
    const Address flat = heap.dict({{word, number}, {heap.str("password"), heap.str("hidden")}});
    const Address list = heap.list({word, small, flat, heap.none()});
    const Address tuple =
        heap.tuple({list, heap.bytes("bytes \x01\xff"), heap.floating(0.1), heap.boolean(true)});
    const Address deep = heap.dict({{heap.str("list"), list}, {heap.str("tuple"), tuple}, {small, flat}});
    const Address base = heap.type("threading.Thread");
    const Address derived = heap.type("bank.Worker", type_flag::heap_type, 64, base);
    const Address module = heap.module(deep);
    const Address instance = heap.instance("bank.Account", flat);
    all = {word, number, small, flat, list, tuple, deep, derived, module, instance};
    end = heap.allocate(8);
  }

  tests::PythonHeap heap;
  std::vector<Address> all;
  Address end;
};

Objects& objects_of(const LayoutRow& row) {
  static std::map<const RuntimeLayout*, std::unique_ptr<Objects>> known;
  std::unique_ptr<Objects>& objects = known[row.layout];
  if (!objects) objects = std::make_unique<Objects>(*row.layout);
  return *objects;
}

constexpr std::size_t limit = 50;

void read_all(const RuntimeLayout& layout, attach::Memory& memory, Address at) {
  if (const auto read = read_str(layout, memory, at, limit))
    require(read->text.size() <= limit * 6, "text has a bound");
  if (const auto read = read_bytes(layout, memory, at, limit))
    require(read->bytes.size() <= limit, "bytes have a bound");
  if (const auto read = read_int(layout, memory, at)) {
    require(read->digits.size() <= 8, "digits have a bound");
    read->as_int64();
    read->as_uint64();
  }
  static_cast<void>(read_float(layout, memory, at));
  static_cast<void>(str_equals(layout, memory, at, "a word"));
  for (const auto reader : {read_tuple, read_list, read_set}) {
    if (const auto read = reader(layout, memory, at, limit))
      require(read->items.size() <= limit, "items have a bound");
  }
  if (const auto read = read_dict(layout, memory, at, limit))
    require(read->entries.size() <= limit, "entries have a bound");
  if (const auto read = read_attributes(layout, memory, at, limit))
    require(read->entries.size() <= limit, "attributes have a bound");
  static_cast<void>(find_in_dict(layout, memory, at, "tuple"));
  static_cast<void>(find_attribute(layout, memory, at, "password"));
  static_cast<void>(find_in_module(layout, memory, at, "list"));
  if (const auto type = type_of(layout, memory, at)) {
    static_cast<void>(type_basicsize(layout, memory, *type));
    static_cast<void>(qualified_type_name(layout, memory, *type));
    static_cast<void>(type_or_base_is(layout, memory, *type, "threading.Thread"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  const LayoutRow& row = layout_rows()[input.take<std::uint8_t>() % layout_rows().size()];
  Objects& objects = objects_of(row);
  const Address begin = objects.heap.runtime();
  tests::EditedHeap memory(objects.heap.memory(), begin, (objects.end - begin) / 8);
  memory.edit(input);

  Runtime runtime;
  runtime.layout = *row.layout;
  const ReadOptions options;
  attach::Target target;
  Reading reading({.runtime = runtime,
                   .target = target,
                   .memory = memory,
                   .lasting = memory,
                   .keys = memory,
                   .options = options});
  for (const Address at : objects.all) {
    read_all(*row.layout, memory, at);
    require(read_value(reading, at).text.size() <= 4096, "a value has a bound");
  }
  return 0;
}
