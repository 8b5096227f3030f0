#include "pyframes/runtime.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attach/cached_reads.h"
#include "attach/exports.h"
#include "pyframes/debug_offsets.h"
#include "pyframes/hex.h"
#include "pyframes/interpreter_lists.h"
#include "pyframes/layouts.h"
#include "pyframes/layouts/linked_objects.h"
#include "pyframes/runtime_search.h"
#include "pyframes/sys_module.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Module;
using attach::Result;
using attach::Target;

constexpr int attempts = 3;  // the target runs: a dict may change under the reader

std::string oldest_version() {
  return "3." + std::to_string(layout_rows().front().minor);
}

// "python3.9", "libpython3.9.so.1.0", "python3.9d" → 9; -1 where the name doesn't tell.
int minor_in_name(std::string_view path) {
  constexpr std::string_view word = "python3.";
  std::string_view name = base_name(path);
  std::size_t at = name.rfind(word);
  if (at == std::string_view::npos) return -1;
  name.remove_prefix(at + word.size());
  int minor = -1;
  auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), minor);
  return status == std::errc() && minor >= 0 && minor < 100 ? minor : -1;
}

Error unsupported(std::string message) {
  return Error{ErrorCode::unsupported, std::move(message), ""};
}

std::string older_than_all() {
  return "a CPython older than " + oldest_version() + ", which can't be read";
}

std::string spoken(const PyVersion& version, bool free_threaded) {
  return "CPython " + to_string(version) + (free_threaded ? " (free-threaded)" : "");
}

void lay_over_places(const RuntimeCandidate& candidate, RuntimeLayout& layout) {
  if (!candidate.places) return;
  layout.runtime = candidate.places->runtime;
  layout.gil = candidate.places->gil;
}

// The table for a version, with what the target itself tells laid over it.
Result<Runtime> choose_layout(Memory& memory, const RuntimeCandidate& candidate, const PyVersion& version,
                              BuildKind kind, bool has_debug_offsets) {
  Runtime runtime;
  runtime.address = candidate.runtime;
  runtime.version = version;
  runtime.debug = kind.debug;
  runtime.free_threaded = kind.free_threaded;
  const RuntimeLayout* table = find_layout(version, kind);
  if (table == nullptr && has_debug_offsets) {
    table = newest_layout(kind.free_threaded);
    if (table != nullptr) {
      runtime.layout_trust = LayoutTrust::extrapolated;
      runtime.layout_note = spoken(version, kind.free_threaded) +
                            " is not known; read by its own _Py_DebugOffsets and the layout of " +
                            table->source;
    }
  }
  if (table == nullptr)
    return unsupported(spoken(version, kind.free_threaded) + " can't be read: its layout is not known");
  runtime.layout = *table;
  lay_over_places(candidate, runtime.layout);
  if (!has_debug_offsets) return runtime;

  std::vector<std::byte> bytes(debug_offsets_size(version.minor));
  Result<void> done = memory.read(candidate.runtime, bytes);
  if (!done) return std::move(done).error();
  const bool extrapolated = runtime.layout_trust == LayoutTrust::extrapolated;
  Result<RuntimeLayout> layout =
      lay_over(*table, bytes, extrapolated ? TableOf::another_version : TableOf::the_same_version);
  if (layout) {
    runtime.layout = *layout;
  } else if (extrapolated) {
    return unsupported(spoken(version, kind.free_threaded) + " can't be read: " + layout.error().message);
  } else {
    runtime.layout_note = layout.error().message;
  }
  return runtime;
}

// What the target is by itself, then by its `sys`, which proves the layout.
Result<Runtime> verify(Memory& memory, Runtime runtime, const RuntimeCandidate& candidate,
                       bool has_debug_offsets) {
  Result<SysModule> sys = read_sys_module(runtime.layout, memory, runtime.address);
  if (!sys) return std::move(sys).error();
  if (sys->version.minor != runtime.version.minor || sys->version.major != runtime.version.major)
    return Error{ErrorCode::corrupt, "its sys.hexversion says " + to_string(sys->version), ""};
  if (sys->debug != runtime.debug || sys->version.hex != runtime.version.hex) {
    const BuildKind kind{sys->debug, runtime.free_threaded, layouts::has_linked_objects(runtime.layout)};
    Result<Runtime> exact = choose_layout(memory, candidate, sys->version, kind, has_debug_offsets);
    if (!exact) return exact;
    runtime = *std::move(exact);
    sys = read_sys_module(runtime.layout, memory, runtime.address);
    if (!sys) return std::move(sys).error();
  }
  std::string difference = check_layout(runtime.layout, memory, *sys);
  if (!difference.empty()) {
    if (!runtime.layout_note.empty()) runtime.layout_note += "; ";
    runtime.layout_note += difference;
    runtime.layout_trust = LayoutTrust::extrapolated;
  }
  return runtime;
}

bool has_interpreter(Memory& memory, const RuntimeCandidate& candidate) {
  return !pointer_at(memory, candidate.runtime, candidate.places->runtime.interpreters_head).is_null();
}

// Whether the list's last interpreter is the main one. By another version's table `main` may stand where
// `head` would, and the list reads as well from there.
bool ends_with_main(Memory& memory, const Runtime& runtime) {
  constexpr int most_interpreters = 10'000;
  const auto& of = runtime.layout.runtime;
  if (!of.interpreters_main.exists() || !of.interpreters_head.exists()) return true;
  return ends_with(runtime.layout, memory, pointer_at(memory, runtime.address, of.interpreters_head),
                   pointer_at(memory, runtime.address, of.interpreters_main), most_interpreters);
}

// Nothing names the version: the tables are tried, the one that the module's name tells first.
Result<Runtime> try_tables(Memory& memory, const RuntimeCandidate& candidate) {
  int named = minor_in_name(candidate.module->path);
  if (named >= 0 && named < layout_rows().front().minor) {
    return unsupported("CPython 3." + std::to_string(named) + " can't be read: " + oldest_version() +
                       " is the oldest");
  }
  std::vector<LayoutRow> rows;
  for (const LayoutRow& row : layout_rows()) {
    if (row.kind.debug || row.kind.free_threaded) continue;
    if (row.layout->runtime_in_variables == candidate.places.has_value()) rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(), [&](const LayoutRow& a, const LayoutRow& b) {
    return (a.minor == named) > (b.minor == named);
  });
  std::optional<Error> first_error;
  for (const LayoutRow& row : rows) {
    Runtime runtime;
    runtime.address = candidate.runtime;
    runtime.version.major = 3;
    runtime.version.minor = row.minor;
    runtime.layout = *row.layout;
    lay_over_places(candidate, runtime.layout);
    Result<Runtime> verified = verify(memory, std::move(runtime), candidate, false);
    if (verified && !ends_with_main(memory, *verified))
      verified = Error{ErrorCode::corrupt, "its list of interpreters does not end with the main one", ""};
    if (verified) return verified;
    if (!first_error) first_error = verified.error();
  }
  if (!first_error) return unsupported("no layout is known");
  // Nothing else tells what an older one is.
  if (candidate.places && named < 0 && has_interpreter(memory, candidate))
    return unsupported(older_than_all());
  return *std::move(first_error);
}

// What a runtime says of itself, without any layout.
struct ToldVersion {
  PyVersion version;
  bool free_threaded = false, has_debug_offsets = false;
};

// Nothing: it says nothing (before 3.11).
Result<std::optional<ToldVersion>> told_version(Memory& memory, const RuntimeCandidate& candidate) {
  std::array<std::byte, debug_offsets_header_size> bytes{};
  Result<void> done = memory.read(candidate.runtime, bytes);
  if (!done) return std::move(done).error();
  if (Result<DebugOffsetsHeader> header = parse_debug_offsets_header(bytes))
    return std::optional(ToldVersion{header->version, header->free_threaded, true});
  if (!candidate.version) return std::optional<ToldVersion>();
  Result<std::uint64_t> hex_version = memory.read_value<std::uint64_t>(*candidate.version);
  if (!hex_version) return std::move(hex_version).error();
  ToldVersion told;
  told.version = version_of_hex(static_cast<std::uint32_t>(*hex_version));
  if (*hex_version >> 32 != 0 || told.version.major != 3)
    return Error{ErrorCode::corrupt, "its Py_Version is none of CPython 3", ""};
  return std::optional(told);
}

Result<Runtime> identify(Memory& memory, const RuntimeCandidate& candidate) {
  const Result<std::optional<ToldVersion>> told = told_version(memory, candidate);
  if (!told) return told.error();
  if (!*told) return try_tables(memory, candidate);
  const ToldVersion& of = **told;
  BuildKind kind{.free_threaded = of.free_threaded};
  Result<Runtime> runtime = choose_layout(memory, candidate, of.version, kind, of.has_debug_offsets);
  if (!runtime) return runtime;
  Result<Runtime> verified = verify(memory, *std::move(runtime), candidate, of.has_debug_offsets);
  kind.linked_objects = true;
  if (verified || find_layout(of.version, kind) == nullptr) return verified;
  // What links its objects doesn't say so.
  runtime = choose_layout(memory, candidate, of.version, kind, of.has_debug_offsets);
  if (runtime) runtime = verify(memory, *std::move(runtime), candidate, of.has_debug_offsets);
  return runtime ? std::move(runtime) : std::move(verified);
}

std::optional<std::int32_t> flag_at(Memory& memory, Address at, IntField field) {
  if (!field.exists()) return std::nullopt;
  const Result<std::int32_t> flag =
      memory.read_value<std::int32_t>(at + static_cast<std::uint64_t>(field.offset));
  if (!flag || *flag < 0 || *flag > 1) return std::nullopt;
  return *flag;
}

// Whether the first interpreter's first thread state, if there are any, names it.
bool lists_agree(Memory& memory, const RuntimeLayout& layout, Address interpreter) {
  if (interpreter.is_null()) return true;
  const Address tstate = pointer_at(memory, interpreter, layout.interpreter.threads_head);
  return tstate.is_null() || pointer_at(memory, tstate, layout.thread_state.interp) == interpreter;
}

bool has_type_of_types(Memory& memory, const RuntimeLayout& layout, Address object) {
  const Address type = pointer_at(memory, object, layout.object.ob_type);
  if (type.is_null()) return false;
  const Address of_types = pointer_at(memory, type, layout.object.ob_type);
  return !of_types.is_null() && pointer_at(memory, of_types, layout.object.ob_type) == of_types;
}

// Whether the first of the interpreter's dicts that is there is an object by the head of linked objects
// alone: the type of types is its own type.
bool links_its_objects(Memory& memory, const Runtime& runtime) {
  const RuntimeLayout& layout = runtime.layout;
  const Address interpreter = pointer_at(memory, runtime.address, layout.runtime.interpreters_head);
  if (interpreter.is_null() || layouts::has_linked_objects(layout))
    return layouts::has_linked_objects(layout);
  const RuntimeLayout* linked =
      find_layout(runtime.version, {runtime.debug, runtime.free_threaded, /*linked_objects=*/true});
  if (linked == nullptr) return false;
  for (const PointerField field :
       {layout.interpreter.sysdict, layout.interpreter.modules, layout.interpreter.builtins}) {
    const Address dict = pointer_at(memory, interpreter, field);
    if (dict.is_null()) continue;
    if (has_type_of_types(memory, layout, dict)) return false;
    if (has_type_of_types(memory, *linked, dict)) return true;
  }
  return false;
}

// A CPython that is only being initialized, or was finalized: no `sys` proves its layout, but its version is
// known without. `initialized` is set as the last of Py_Initialize and cleared as the first of Py_FinalizeEx,
// which leaves `finalizing` set for good (Python/pylifecycle.c at v3.8.0 to v3.15.0).
Result<Runtime> identify_without_sys(Memory& memory, const RuntimeCandidate& candidate, const Error& why) {
  const Result<std::optional<ToldVersion>> told = told_version(memory, candidate);
  if (!told) return told.error();
  ToldVersion of = told->value_or(ToldVersion());
  if (!*told) {
    of.version.major = 3;
    of.version.minor = minor_in_name(candidate.module->path);
    if (of.version.minor < layout_rows().front().minor) return why;
  }
  const std::string_view name = base_name(candidate.module->path);
  BuildKind kind;
  kind.debug = name.ends_with("-dbg") || name.find("d.so") != std::string_view::npos ||
               (name.ends_with('d') && minor_in_name(name) >= 0);
  kind.free_threaded = of.free_threaded;
  Result<Runtime> runtime = choose_layout(memory, candidate, of.version, kind, of.has_debug_offsets);
  if (!runtime) return runtime;
  if (links_its_objects(memory, *runtime)) {
    kind.linked_objects = true;
    runtime = choose_layout(memory, candidate, of.version, kind, of.has_debug_offsets);
    if (!runtime) return runtime;
  }

  const RuntimeLayout& layout = runtime->layout;
  const Address interpreter = pointer_at(memory, candidate.runtime, layout.runtime.interpreters_head);
  const bool finalizing = !pointer_at(memory, candidate.runtime, layout.runtime.finalizing).is_null();
  const std::optional<std::int32_t> core =
      flag_at(memory, candidate.runtime, layout.runtime.core_initialized);
  const std::optional<std::int32_t> whole = flag_at(memory, candidate.runtime, layout.runtime.initialized);
  if (!core || !whole || (*whole == 1 && !finalizing) || !lists_agree(memory, layout, interpreter))
    return why;
  std::string note;
  if (finalizing) {
    note = interpreter.is_null() ? "Python was finalized and has no interpreter any more"
                                 : "Python is being finalized, and its sys is gone";
  } else {
    note = interpreter.is_null() ? "Python has no interpreter yet"
                                 : "Python is being initialized, and has no sys yet";
  }
  if (!runtime->layout_note.empty()) runtime->layout_note += "; ";
  runtime->layout_note += note + ": its layout could not be checked";
  return runtime;
}

// A dict of `sys` may be changed while it is read, for nothing is held yet.
Result<Runtime> identify_steadily(Memory& memory, const RuntimeCandidate& candidate) {
  Result<Runtime> runtime = identify(memory, candidate);
  for (int i = 1; i < attempts && !runtime && runtime.error().code != ErrorCode::unsupported; ++i)
    runtime = identify(memory, candidate);
  return runtime;
}

// How many thread states there are; what tells the busier of two runtimes.
std::size_t count_threads(Memory& memory, const Runtime& runtime) {
  const RuntimeLayout& layout = runtime.layout;
  constexpr std::size_t most_counted = 10'000;
  std::size_t seen = 0, count = 0;
  auto follow = [&](Address from, PointerField field) {
    return ++seen > most_counted ? Address() : pointer_at(memory, from, field);
  };
  Address interpreter = follow(runtime.address, layout.runtime.interpreters_head);
  for (; !interpreter.is_null(); interpreter = follow(interpreter, layout.interpreter.next)) {
    Address thread = follow(interpreter, layout.interpreter.threads_head);
    for (; !thread.is_null(); thread = follow(thread, layout.thread_state.next)) ++count;
  }
  return count;
}

// Each candidate once: those that run, and why the first that doesn't can't be read.
class RunningRuntimes {
 public:
  RunningRuntimes(const RuntimeSearch& search, Memory& memory) : search_(search), memory_(memory) {}

  bool empty() const { return running_.empty(); }

  // `named`: by a symbol or a section, not only by what its data look like.
  void offer(const RuntimeCandidate& candidate, bool named = true) {
    if (std::find(tried_.begin(), tried_.end(), candidate.runtime) != tried_.end()) return;
    tried_.push_back(candidate.runtime);
    Result<Runtime> runtime = identify_steadily(memory_, candidate);
    const std::string& path = candidate.module->path;
    if (!runtime) {
      if (named && runtime.error().code == ErrorCode::corrupt) {
        Result<Runtime> dormant = identify_without_sys(memory_, candidate, runtime.error());
        if (dormant) return add(dormant_, *std::move(dormant), candidate);
      }
      if (!first_error_ || first_error_->code != ErrorCode::unsupported)
        first_error_ = std::move(runtime).error().within("the CPython in " + path);
      return;
    }
    add(running_, *std::move(runtime), candidate);
  }

  // The one with the most threads, of equal ones the first, and that there are others.
  Result<Runtime> choose() && {
    if (running_.empty()) {
      if (!dormant_.empty()) return std::move(dormant_.front());
      if (first_error_) return *std::move(first_error_);
      if (search_.saw_older()) return unsupported(older_than_all());
      return Error{ErrorCode::not_python, "no CPython was found in the process", ""};
    }
    std::size_t busiest = 0;
    if (running_.size() > 1) {
      std::vector<std::size_t> threads;
      for (const Runtime& runtime : running_) threads.push_back(count_threads(memory_, runtime));
      busiest = static_cast<std::size_t>(std::max_element(threads.begin(), threads.end()) - threads.begin());
    }
    Runtime chosen = running_[busiest];
    for (std::size_t i = 0; i < running_.size(); ++i) {
      const Runtime& other = running_[i];
      if (i == busiest) continue;
      chosen.others.push_back(
          "another CPython runs in the process and is not read: " + to_string(other.version) + " in " +
          other.library + ", _PyRuntime at " + hex(other.address));
    }
    return chosen;
  }

 private:
  void add(std::vector<Runtime>& to, Runtime runtime, const RuntimeCandidate& candidate) const {
    const std::string& path = candidate.module->path;
    runtime.library = path;
    bool shared =
        base_name(path).find(".so") != std::string_view::npos && !search_.is_executable(*candidate.module);
    runtime.linkage = shared ? Linkage::shared_library : Linkage::static_executable;
    to.push_back(std::move(runtime));
  }

  const RuntimeSearch& search_;
  Memory& memory_;
  std::vector<Address> tried_;
  std::vector<Runtime> running_;
  std::vector<Runtime> dormant_;  // being initialized, or finalized
  std::optional<Error> first_error_;
};

}  // namespace

Result<Runtime> find_runtime(Target& target) {
  Memory& uncached = *target.memory;
  const attach::CachedReads cached(target);
  RuntimeSearch search(target, uncached);
  RunningRuntimes running(search, *target.memory);
  attach::prefetch_exports(search.modules(), *target.memory);
  std::vector<const Module*> silent;
  for (const Module* module : search.modules()) {
    if (std::optional<RuntimeCandidate> candidate = search.exported(*module)) {
      running.offer(*candidate);
    } else {
      silent.push_back(module);
    }
  }
  // Where one was found, files are opened only of what may well be another.
  const bool found = !running.empty();
  for (const Module* module : silent) {
    if (found && !search.is_executable(*module) && !search.is_named_python(*module)) continue;
    if (std::optional<RuntimeCandidate> candidate = search.in_file(*module)) running.offer(*candidate);
  }
  for (const Module* module : search.modules()) {
    if (!running.empty()) break;
    for (const RuntimeCandidate& candidate : search.in_data(*module)) running.offer(candidate, false);
  }
  return std::move(running).choose();
}

}  // namespace pythreads::pyframes
