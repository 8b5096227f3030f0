#include "cli/packed_facts.h"

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace pythreads::cli {
namespace {

using attach::Address;
using attach::SharedText;
using pyframes::LayoutTrust;
using pyframes::Linkage;
using pyframes::PyAttachment;
using pyframes::PyException;
using pyframes::PyFrame;
using pyframes::PyFrameObject;
using pyframes::PyGil;
using pyframes::PyHeldLock;
using pyframes::PyHoldTrust;
using pyframes::PyInterpreter;
using pyframes::PyLocal;
using pyframes::PyLockWait;
using pyframes::PyMention;
using pyframes::PyPendingCall;
using pyframes::PyPlace;
using pyframes::PyRuntimeState;
using pyframes::PySyncDetail;
using pyframes::PySyncKind;
using pyframes::PySyncObject;
using pyframes::PyThread;
using pyframes::PyTrigger;
using pyframes::PyValue;
using pyframes::PyVersion;
using unwinder::FrameTrust;
using unwinder::NativeFrame;
using unwinder::NativeStack;
using unwinder::StackEnd;

// The last enumerator of each kind, up to which a number is one.
template <typename Kind>
constexpr Kind last_of = Kind::not_listed_here;
template <>
constexpr Linkage last_of<Linkage> = Linkage::shared_library;
template <>
constexpr LayoutTrust last_of<LayoutTrust> = LayoutTrust::extrapolated;
template <>
constexpr PyTrigger last_of<PyTrigger> = PyTrigger::trace;
template <>
constexpr PyAttachment last_of<PyAttachment> = PyAttachment::shutting_down;
template <>
constexpr PySyncKind last_of<PySyncKind> = PySyncKind::stop_event;
template <>
constexpr PyHoldTrust last_of<PyHoldTrust> = PyHoldTrust::likely;
template <>
constexpr FrameTrust last_of<FrameTrust> = FrameTrust::scanned;
template <>
constexpr StackEnd last_of<StackEnd> = StackEnd::gap;

// All fields of a struct, in their order; the compiler counts them.
#define PYTHREADS_FIELDS(Struct, ...)                   \
  template <typename T>                                 \
  requires std::same_as<std::remove_const_t<T>, Struct> \
  auto fields(T& of) {                                  \
    auto& [__VA_ARGS__] = of;                           \
    return std::tie(__VA_ARGS__);                       \
  }
PYTHREADS_FIELDS(Address, value)
PYTHREADS_FIELDS(PyVersion, major, minor, micro, hex)
PYTHREADS_FIELDS(PyValue, text, redacted)
PYTHREADS_FIELDS(PyLocal, name, value)
PYTHREADS_FIELDS(PyFrame, function, qualified_name, module_name, file, function_unread, file_unread, line,
                 column, end_line, end_column, entry, loop_place, trampoline, trigger, address, code, locals,
                 locals_gap)
PYTHREADS_FIELDS(PyException, type, message, raised_at_file, raised_at_line)
PYTHREADS_FIELDS(PyLockWait, object, word, rule, evidence)
PYTHREADS_FIELDS(PyFrameObject, frame, variable, object)
PYTHREADS_FIELDS(PyPlace, file, line, function)
PYTHREADS_FIELDS(PyHeldLock, object, trust, permit, frame, acquired, rule, evidence)
PYTHREADS_FIELDS(PyPendingCall, object, method, frame, line)
PYTHREADS_FIELDS(PyMention, object, frame, expression)
PYTHREADS_FIELDS(PyThread, tstate, interpreter, ident, native_thread_id, tid, suspended, stack_place, name,
                 daemon, main, frames, frames_gap, frames_left_out, exception, recursion_depth, tracing,
                 profiling, pending_async_exception, attachment, holds_gil, waits_for_gil, takes_gil,
                 gil_evidence, lock_wait, frame_objects, held, pending_calls, mentions, gaps)
PYTHREADS_FIELDS(PyGil, address, locked, holder, holder_tid, handing_over)
PYTHREADS_FIELDS(PyInterpreter, id, main, address, gil, gil_gap, gc_collecting, gc_tid, finalizing,
                 stop_the_world_requested, stop_the_world_requester, threads, threads_gap)
PYTHREADS_FIELDS(PySyncDetail, name, value)
PYTHREADS_FIELDS(PySyncObject, address, kind, type_name, name, locked, owner_ident, owner_field, count,
                 capacity, lock, thread_ident, finished, queue, loop, module, detail)
PYTHREADS_FIELDS(PyRuntimeState, version, debug, free_threaded, linkage, library, layout, address,
                 initialized, finalizing, interpreters, sync_objects, gaps)
PYTHREADS_FIELDS(NativeFrame, pc, sp, function, module, module_offset, symbol_offset, file, line, inlined,
                 signal_trampoline, trust)
PYTHREADS_FIELDS(NativeStack, frames, end, gap)
PYTHREADS_FIELDS(WalkedStack, native, walked)
PYTHREADS_FIELDS(FactsRead, runtime, stacks, deadline_passed)
#undef PYTHREADS_FIELDS

template <typename T>
concept Struct = requires(T& of) {
  fields(of);
};
template <typename T>
concept Number = std::is_arithmetic_v<T> && !std::same_as<T, bool>;
template <typename T>
concept Enumeration = std::is_enum_v<T>;

class Packer {
 public:
  std::string bytes;

  template <Number T>
  void put(const T& number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void put(bool flag) { bytes.push_back(flag ? 1 : 0); }
  template <Enumeration T>
  void put(const T& kind) {
    put(static_cast<std::uint8_t>(kind));
  }
  void put(const std::string& text) {
    put(text.size());
    bytes += text;
  }
  // A text that was sent already is named by its number, from 1 on; 0 is none.
  void put(const SharedText& text) {
    if (text.is_null()) return put(std::uint32_t{0});
    const auto [known, is_new] =
        texts_.try_emplace(&text.str(), static_cast<std::uint32_t>(texts_.size() + 1));
    put(known->second);
    if (is_new) put(text.str());
  }
  template <typename T>
  void put(const std::optional<T>& some) {
    put(some.has_value());
    if (some) put(*some);
  }
  template <typename T>
  void put(const std::vector<T>& list) {
    put(list.size());
    for (const T& each : list) put(each);
  }
  void put(const std::variant<std::monostate, bool, std::int64_t, std::string>& value) {
    put(static_cast<std::uint8_t>(value.index()));
    if (const bool* flag = std::get_if<bool>(&value)) put(*flag);
    if (const std::int64_t* number = std::get_if<std::int64_t>(&value)) put(*number);
    if (const std::string* text = std::get_if<std::string>(&value)) put(*text);
  }
  template <Struct T>
  void put(const T& of) {
    std::apply([this](const auto&... each) { (put(each), ...); }, fields(of));
  }

 private:
  std::unordered_map<const std::string*, std::uint32_t> texts_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  // Nothing was missing, nothing was wrong, and nothing is left.
  bool has_ended_well() const { return !bad_ && rest_.empty(); }

  template <Number T>
  void take(T& number) {
    const std::string_view got = take_bytes(sizeof number);
    if (!bad_) std::memcpy(&number, got.data(), sizeof number);
  }
  void take(bool& flag) {
    std::uint8_t byte = 0;
    take(byte);
    if (byte > 1) bad_ = true;
    flag = byte == 1;
  }
  template <Enumeration T>
  void take(T& kind) {
    std::uint8_t number = 0;
    take(number);
    if (number > static_cast<std::uint8_t>(last_of<T>)) return fail();
    kind = static_cast<T>(number);
  }
  void take(std::string& text) {
    std::size_t size = 0;
    take(size);
    text = take_bytes(size);
  }
  void take(SharedText& text) {
    std::uint32_t number = 0;
    take(number);
    if (number == 0) return;
    if (number > texts_.size() + 1) return fail();
    if (number == texts_.size() + 1) {
      std::string fresh;
      take(fresh);
      texts_.push_back(fresh.empty() ? SharedText::of_no_length() : SharedText(std::move(fresh)));
    }
    text = texts_[number - 1];
  }
  template <typename T>
  void take(std::optional<T>& some) {
    bool is_there = false;
    take(is_there);
    if (is_there) take(some.emplace());
  }
  // Grows as far as there are bytes for it, whatever length was said.
  template <typename T>
  void take(std::vector<T>& list) {
    std::size_t size = 0;
    take(size);
    if (size > rest_.size()) return fail();
    for (std::size_t i = 0; i < size && !bad_; ++i) take(list.emplace_back());
  }
  void take(std::variant<std::monostate, bool, std::int64_t, std::string>& value) {
    std::uint8_t index = 0;
    take(index);
    if (index == 1) take(value.emplace<bool>());
    if (index == 2) take(value.emplace<std::int64_t>());
    if (index == 3) take(value.emplace<std::string>());
    if (index > 3) fail();
  }
  template <Struct T>
  void take(T& of) {
    std::apply([this](auto&... each) { (take(each), ...); }, fields(of));
  }

 private:
  void fail() {
    bad_ = true;
    rest_ = {};
  }
  std::string_view take_bytes(std::size_t size) {
    if (bad_ || size > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view got = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return got;
  }

  std::string_view rest_;
  std::vector<SharedText> texts_;
  bool bad_ = false;
};

template <typename T>
void keep_inside(std::vector<T>& list, std::size_t frames) {
  std::erase_if(list, [frames](const T& each) { return each.frame >= frames; });
}

// What is used as an index is one.
void keep_inside(PyRuntimeState& state) {
  for (PyInterpreter& interpreter : state.interpreters) {
    for (PyThread& thread : interpreter.threads) {
      const std::size_t frames = thread.frames.size();
      keep_inside(thread.frame_objects, frames);
      keep_inside(thread.pending_calls, frames);
      keep_inside(thread.mentions, frames);
      for (PyHeldLock& lock : thread.held) {
        if (lock.frame && *lock.frame >= frames) lock.frame.reset();
      }
    }
  }
}

}  // namespace

std::string pack(const FactsRead& facts) {
  Packer packer;
  packer.put(facts);
  return std::move(packer.bytes);
}

attach::Result<FactsRead> unpack(std::string_view bytes, std::size_t threads) {
  FactsRead facts;
  Unpacker unpacker(bytes);
  unpacker.take(facts);
  if (!unpacker.has_ended_well() || facts.stacks.size() != threads)
    return attach::Error{attach::ErrorCode::internal, "what was read of it came back spoiled", {}};
  keep_inside(facts.runtime);
  return facts;
}

}  // namespace pythreads::cli
