// Python objects written into a FakeMemory by any layout: what the readers of values, names, exceptions and
// locks need. Nothing is freed; each object gets a place of its own, with unreadable bytes around it.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attach/target.h"
#include "pyframes/layouts.h"
#include "pyframes/objects.h"
#include "pyframes/reading.h"
#include "tests/support/fake_memory.h"

namespace pythreads::tests {

// The committed table of a build: "3.8.18", "3.13.5t", "3.15.2d", "3.8.18r" (Py_TRACE_REFS). By a call, for
// the tables themselves are costly to compile in each test.
inline const pyframes::RuntimeLayout& table_of(std::string_view build) {
  pyframes::PyVersion version;
  const char* at = build.data();
  const char* end = at + build.size();
  for (int* part : {&version.major, &version.minor, &version.micro}) {
    at = std::from_chars(at, end, *part).ptr;
    if (at != end && *at == '.') ++at;
  }
  const std::string_view kind(at, static_cast<std::size_t>(end - at));
  const pyframes::RuntimeLayout* table =
      pyframes::find_layout(version, {kind == "d", kind == "t", kind == "r"});
  if (table == nullptr) std::abort();
  return *table;
}

class ObjectBuilder {
 public:
  explicit ObjectBuilder(const pyframes::RuntimeLayout& layout) : layout_(layout) {}

  FakeMemory& memory() { return memory_; }
  const pyframes::RuntimeLayout& layout() const { return layout_; }

  attach::Address allocate(std::uint64_t size) {
    const attach::Address at(next_ + 64);
    next_ = (at.value + size + 64 + 15) / 16 * 16;
    memory_.map({at, size});
    return at;
  }

  template <typename T, typename V>
  void set(attach::Address object, pyframes::Field<T> field, V value) {
    if (!field.exists()) return;
    memory_.put(object + static_cast<std::uint64_t>(field.offset), static_cast<T>(value));
  }
  void set(attach::Address object, pyframes::PointerField field, attach::Address value) {
    set(object, field, value.value);
  }

  attach::Address text(std::string_view bytes) {
    const attach::Address at = allocate(bytes.size() + 1);
    memory_.put_c_string(at, bytes);
    return at;
  }

  // One type of each name.
  attach::Address type(const std::string& name, std::uint64_t flags = 0, std::int64_t basicsize = 0,
                       attach::Address base = attach::Address()) {
    const auto known = types_.find(name);
    if (known != types_.end()) return known->second;
    const attach::Address at =
        allocate(static_cast<std::uint64_t>(std::max(layout_.heap_type.size, layout_.type.size)));
    set(at, layout_.type.tp_name, text(name));
    set(at, layout_.type.tp_flags, flags);
    set(at, layout_.type.tp_basicsize, basicsize);
    set(at, layout_.type.tp_base, base);
    types_.emplace(name, at);
    return at;
  }

  attach::Address object(attach::Address type_at, std::uint64_t size) {
    const attach::Address at = allocate(size);
    set(at, layout_.object.ob_type, type_at);
    return at;
  }
  attach::Address none() {
    if (none_.is_null()) none_ = object(type("NoneType"), static_cast<std::uint64_t>(layout_.object.size));
    return none_;
  }

  attach::Address str(std::string_view ascii) {
    const attach::Address at = object(type("str", pyframes::type_flag::unicode_subclass),
                                      static_cast<std::uint64_t>(layout_.unicode.size) + ascii.size() + 1);
    set(at, layout_.unicode.length, ascii.size());
    put_bits(at, layout_.unicode.kind, 1);
    put_bits(at, layout_.unicode.compact, 1);
    put_bits(at, layout_.unicode.ascii, 1);
    memory_.put_c_string(at + static_cast<std::uint64_t>(layout_.unicode.size), ascii);
    return at;
  }

  attach::Address integer(std::int64_t value, const std::string& type_name = "int") {
    const std::uint64_t size =
        value < 0 ? static_cast<std::uint64_t>(-value) : static_cast<std::uint64_t>(value);
    std::vector<std::uint32_t> digits;
    for (std::uint64_t rest = size; rest != 0; rest >>= 30)
      digits.push_back(static_cast<std::uint32_t>(rest & 0x3fff'ffff));
    return big_integer(digits, value < 0, type_name);
  }
  attach::Address big_integer(const std::vector<std::uint32_t>& digits, bool negative,
                              const std::string& type_name = "int") {
    const auto first = static_cast<std::uint64_t>(layout_.integer.ob_digit.offset);
    const attach::Address at = object(type(type_name, pyframes::type_flag::long_subclass),
                                      first + 4 * std::max<std::size_t>(digits.size(), 1));
    const auto count = static_cast<std::int64_t>(digits.size());
    if (layout_.integer.lv_tag.exists()) {
      const std::uint64_t sign = digits.empty() ? 1 : negative ? 2 : 0;
      set(at, layout_.integer.lv_tag, static_cast<std::uint64_t>(count) << 3 | sign);
    } else {
      set(at, layout_.integer.ob_size, negative ? -count : count);
    }
    for (std::size_t i = 0; i < digits.size(); ++i) memory_.put(at + first + 4 * i, digits[i]);
    return at;
  }
  attach::Address boolean(bool value) { return integer(value ? 1 : 0, "bool"); }

  attach::Address floating(double value) {
    const attach::Address at = object(type("float"), 32 + static_cast<std::uint64_t>(layout_.object.size));
    set(at, layout_.floating.ob_fval, value);
    return at;
  }

  attach::Address bytes(std::string_view content) {
    const attach::Address at =
        object(type("bytes", pyframes::type_flag::bytes_subclass),
               static_cast<std::uint64_t>(layout_.bytes.ob_sval.offset) + content.size() + 1);
    set(at, layout_.bytes.ob_size, content.size());
    memory_.put_c_string(at + static_cast<std::uint64_t>(layout_.bytes.ob_sval.offset), content);
    return at;
  }

  attach::Address tuple(const std::vector<attach::Address>& items) {
    const auto first = static_cast<std::uint64_t>(layout_.tuple.ob_item.offset);
    const attach::Address at =
        object(type("tuple", pyframes::type_flag::tuple_subclass), first + 8 * items.size());
    set(at, layout_.tuple.ob_size, items.size());
    put_words(at + first, items);
    return at;
  }

  attach::Address list(const std::vector<attach::Address>& items) {
    const attach::Address at = object(type("list", pyframes::type_flag::list_subclass),
                                      static_cast<std::uint64_t>(layout_.list.ob_item.offset) + 16);
    const attach::Address array = allocate(8 * std::max<std::size_t>(items.size(), 1));
    set(at, layout_.list.ob_size, items.size());
    set(at, layout_.list.ob_item, array);
    put_words(array, items);
    return at;
  }
  void replace_item(attach::Address list_at, std::size_t index, attach::Address item) {
    const auto array =
        memory_.read_address(list_at + static_cast<std::uint64_t>(layout_.list.ob_item.offset));
    memory_.put(*array + 8 * index, item.value);
  }

  // A combined table with hashes; as many entries as are wanted.
  attach::Address dict(const std::vector<std::pair<attach::Address, attach::Address>>& entries) {
    std::uint8_t log2 = 3;
    while ((std::uint64_t{1} << log2) * 2 / 3 < entries.size()) ++log2;
    const std::uint64_t slots = std::uint64_t{1} << log2;
    const std::uint64_t index_bytes = slots <= 0xff ? slots : slots * 2;
    const auto head = static_cast<std::uint64_t>(layout_.dict_keys.dk_indices.offset);
    const auto entry_size = static_cast<std::uint64_t>(layout_.dict_entry.size);
    const attach::Address keys =
        allocate(head + index_bytes + entry_size * std::max<std::size_t>(entries.size(), 1));
    set(keys, layout_.dict_keys.dk_size, slots);
    set(keys, layout_.dict_keys.dk_log2_size, log2);
    set(keys, layout_.dict_keys.dk_log2_index_bytes, slots <= 0xff ? log2 : log2 + 1);
    set(keys, layout_.dict_keys.dk_nentries, entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const attach::Address entry = keys + head + index_bytes + entry_size * i;
      set(entry, layout_.dict_entry.me_key, entries[i].first);
      set(entry, layout_.dict_entry.me_value, entries[i].second);
    }
    const attach::Address at = object(type("dict", pyframes::type_flag::dict_subclass), 64);
    set(at, layout_.dict.ma_used, entries.size());
    set(at, layout_.dict.ma_keys, keys);
    return at;
  }

  // A module with these variables.
  attach::Address module(attach::Address variables) {
    const attach::Address at = object(type("module"), 96);
    set(at, layout_.module.md_dict, variables);
    return at;
  }

  // An instance of a Python class whose attributes lie in a dict of its own.
  attach::Address instance(const std::string& class_name, attach::Address attributes) {
    const bool before = layout_.attribute_style != pyframes::AttributeStyle::dict_offset;
    const attach::Address class_at = type(class_name, before ? pyframes::type_flag::managed_dict : 0, 64);
    set(class_at, layout_.type.tp_dictoffset, before ? -1 : 16);
    const attach::Address start = allocate(128);
    const attach::Address at = start + 32;
    set(at, layout_.object.ob_type, class_at);
    const std::uint64_t distance = layout_.free_threaded ? 8 : 24;
    memory_.put(before ? at - distance : at + 16, attributes.value);
    return at;
  }

 private:
  void put_bits(attach::Address at, pyframes::BitField field, std::uint32_t value) {
    const attach::Address word = at + static_cast<std::uint64_t>(field.offset);
    const auto now = memory_.read_value<std::uint32_t>(word);
    memory_.put(word, (now ? *now : 0) | value << field.shift);
  }
  void put_words(attach::Address at, const std::vector<attach::Address>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) memory_.put(at + 8 * i, words[i].value);
  }

  const pyframes::RuntimeLayout& layout_;
  FakeMemory memory_;
  std::map<std::string, attach::Address> types_;
  attach::Address none_;
  std::uint64_t next_ = 0x7f00'0000'0000;
};

// A Reading over an ObjectBuilder's memory, with one interpreter to which threads are added.
struct BuiltRuntime {
  explicit BuiltRuntime(const pyframes::RuntimeLayout& layout) : objects(layout) {
    runtime.layout = layout;
    runtime.address = objects.allocate(runtime_bytes);
    interpreter = objects.allocate(interpreter_bytes);
    state.interpreters.emplace_back();
    state.interpreters[0].main = true;
    copy.interpreters.emplace_back();
  }

  // A thread state on the OS thread `tid`; `word` is the futex word that it sleeps on, 0: none.
  attach::Address add_thread(pid_t tid, std::uint64_t ident, std::uint64_t word = 0,
                             attach::Range stack = {}) {
    const attach::Address tstate = objects.allocate(thread_bytes);
    objects.set(tstate, runtime.layout.thread_state.thread_id, ident);
    tstates.push_back(tstate);
    attach::ThreadState thread;
    thread.tid = tid;
    thread.namespace_tid = tid;
    thread.outcome = attach::StopOutcome::held;
    thread.registers = attach::Registers{};
    thread.registers->pthread_self = ident;
    thread.registers->values[attach::stack_pointer_register] = stack.begin.value;
    thread.stack = stack;
    if (word != 0) {
      thread.kernel_wait = attach::KernelWait{};
      thread.kernel_wait->number = 202;
      thread.kernel_wait->arguments = {word, 0x189, 0, 0, 0, 0};
    }
    target.threads.push_back(thread);
    return tstate;
  }

  // After all threads and fields are there.
  void copy_all() {
    copy.runtime = *pyframes::StructCopy::read(objects.memory(), runtime.address, runtime_bytes);
    copy.interpreters[0].interpreter =
        *pyframes::StructCopy::read(objects.memory(), interpreter, interpreter_bytes);
    for (std::size_t i = 0; i < tstates.size(); ++i) {
      pyframes::ThreadCopy thread;
      thread.tstate = *pyframes::StructCopy::read(objects.memory(), tstates[i], thread_bytes);
      thread.os_thread = &target.threads[i];
      copy.interpreters[0].threads.push_back(std::move(thread));
      state.interpreters[0].threads.emplace_back();
      state.interpreters[0].threads[i].tstate = tstates[i];
      state.interpreters[0].threads[i].ident = target.threads[i].registers->pthread_self;
    }
  }

  pyframes::Reading reading() {
    return pyframes::Reading({.runtime = runtime,
                              .target = target,
                              .memory = objects.memory(),
                              .lasting = objects.memory(),
                              .keys = objects.memory(),
                              .options = options});
  }
  pyframes::PyThread& thread(std::size_t i) { return state.interpreters[0].threads[i]; }

  static constexpr std::int64_t runtime_bytes = 8192;
  static constexpr std::int64_t interpreter_bytes = 16384;
  static constexpr std::int64_t thread_bytes = 1024;

  ObjectBuilder objects;
  pyframes::Runtime runtime;
  pyframes::ReadOptions options;
  attach::Target target;
  attach::Address interpreter;
  std::vector<attach::Address> tstates;
  pyframes::RuntimeCopy copy;
  pyframes::PyRuntimeState state;
};

}  // namespace pythreads::tests
