#include "pyframes/runtime.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "pyframes/debug_offsets.h"
#include "pyframes/layouts.h"
#include "pyframes/sys_module.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Mapping;
using attach::Memory;
using attach::Module;
using attach::ModuleSymbols;
using attach::Range;
using attach::Result;
using attach::Target;

constexpr int oldest_minor = 8;
constexpr std::size_t most_modules = 512;            // opened in search of a CPython
constexpr std::uint64_t most_scanned = 64ULL << 20;  // bytes looked at for the cookie, in one module
constexpr int attempts = 3;                          // the target runs: a dict may change under the reader

// A module that may be CPython, and what its symbols say.
struct Candidate {
  const Module* module = nullptr;
  Address runtime;
  std::optional<Address> version;  // of Py_Version
};

std::string_view base_name(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
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

bool is_executable(const Target& target, const Module& module) {
  return !target.process.executable.empty() && module.path == target.process.executable;
}

// The likely ones first: the executable, then what is called python, then the others.
std::vector<const Module*> modules_in_order(const Target& target) {
  auto rank = [&](const Module* module) {
    if (is_executable(target, *module)) return 0;
    return base_name(module->path).find("python") != std::string_view::npos ? 1 : 2;
  };
  std::vector<const Module*> modules;
  for (const Module& module : target.modules) {
    if (module.path.empty() || module.path.front() == '[') continue;
    modules.push_back(&module);
  }
  std::stable_sort(modules.begin(), modules.end(),
                   [&](const Module* a, const Module* b) { return rank(a) < rank(b); });
  if (modules.size() > most_modules) modules.resize(most_modules);
  return modules;
}

// The address of "xdebugpy" followed by a believable version, in the writable part of the module.
std::optional<Address> scan_for_cookie(Target& target, const Module& module) {
  constexpr std::size_t step = 1 << 20;
  std::uint64_t left = most_scanned;
  std::vector<std::byte> bytes;
  for (const Mapping& mapping : target.mappings) {
    if (!mapping.readable || !mapping.writable || mapping.shared) continue;
    if (!module.range.contains(mapping.range.begin)) continue;
    for (std::uint64_t at = 0; at < mapping.range.size && left > 0; at += step) {
      std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(
          {std::uint64_t{step} + debug_offsets_header_size, mapping.range.size - at, left}));
      bytes.resize(size);
      std::size_t got = target.memory->read_up_to(mapping.range.begin + at, bytes);
      left -= std::min<std::uint64_t>(left, size);
      for (std::size_t i = 0; i + debug_offsets_header_size <= got; i += 8) {
        if (std::memcmp(bytes.data() + i, debug_offsets_cookie, 8) != 0) continue;
        if (parse_debug_offsets_header(std::span(bytes).subspan(i))) return mapping.range.begin + at + i;
      }
    }
  }
  return std::nullopt;
}

// None: no CPython that we know is in the module. `older` is set where there is one without _PyRuntime.
std::optional<Candidate> look_into(Target& target, const Module& module, bool& older) {
  Result<ModuleSymbols> symbols = attach::read_symbols(
      module, *target.files, {"_PyRuntime", "Py_Version", "_PyThreadState_Current", "Py_Initialize"},
      {".PyRuntime"});
  Candidate candidate;
  candidate.module = &module;
  bool named_python = base_name(module.path).find("python") != std::string_view::npos;
  if (symbols && symbols->found.size() == 4 && symbols->sections.size() == 1) {
    if (symbols->found[1]) candidate.version = symbols->found[1]->address;
    if (symbols->found[0]) {
      candidate.runtime = symbols->found[0]->address;
      return candidate;
    }
    if (symbols->sections[0]) {
      candidate.runtime = symbols->sections[0]->begin;
      return candidate;
    }
    if (symbols->found[2] || symbols->found[3]) older = true;
  }
  if (!named_python && !is_executable(target, module)) return std::nullopt;
  std::optional<Address> cookie = scan_for_cookie(target, module);
  if (!cookie) return std::nullopt;
  candidate.runtime = *cookie;
  return candidate;
}

Error unsupported(std::string message) {
  return Error{ErrorCode::unsupported, std::move(message), ""};
}

std::string spoken(const PyVersion& version, bool free_threaded) {
  return "CPython " + to_string(version) + (free_threaded ? " (free-threaded)" : "");
}

// The table for a version, with what the target itself tells laid over it.
Result<Runtime> choose_layout(Memory& memory, const Candidate& candidate, const PyVersion& version,
                              bool debug, bool free_threaded, bool has_debug_offsets) {
  Runtime runtime;
  runtime.address = candidate.runtime;
  runtime.version = version;
  runtime.debug = debug;
  runtime.free_threaded = free_threaded;
  const RuntimeLayout* table = find_layout(version, debug, free_threaded);
  if (table == nullptr && has_debug_offsets) {
    table = newest_layout(free_threaded);
    if (table != nullptr) {
      runtime.layout_trust = LayoutTrust::extrapolated;
      runtime.layout_note = spoken(version, free_threaded) +
                            " is not known; read by its own _Py_DebugOffsets and the layout of " +
                            table->source;
    }
  }
  if (table == nullptr)
    return unsupported(spoken(version, free_threaded) + " can't be read: its layout is not known");
  runtime.layout = *table;
  if (!has_debug_offsets) return runtime;

  std::vector<std::byte> bytes(debug_offsets_size(version.minor));
  Result<void> done = memory.read(candidate.runtime, bytes);
  if (!done) return std::move(done).error();
  Result<RuntimeLayout> layout = lay_over(*table, bytes);
  if (layout) {
    runtime.layout = *layout;
  } else if (runtime.layout_trust == LayoutTrust::extrapolated) {
    return unsupported(spoken(version, free_threaded) + " can't be read: " + layout.error().message);
  } else {
    runtime.layout_note = layout.error().message;
  }
  return runtime;
}

// What the target is by itself, then by its `sys`, which proves the layout.
Result<Runtime> verify(Memory& memory, Runtime runtime, const Candidate& candidate, bool has_debug_offsets) {
  Result<SysModule> sys = read_sys_module(runtime.layout, memory, runtime.address);
  if (!sys) return std::move(sys).error();
  if (sys->version.minor != runtime.version.minor || sys->version.major != runtime.version.major)
    return Error{ErrorCode::corrupt, "its sys.hexversion says " + to_string(sys->version), ""};
  if (sys->debug != runtime.debug || sys->version.hex != runtime.version.hex) {
    Result<Runtime> exact =
        choose_layout(memory, candidate, sys->version, sys->debug, runtime.free_threaded, has_debug_offsets);
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

// Nothing names the version: the tables are tried, the one that the module's name tells first.
Result<Runtime> try_tables(Memory& memory, const Candidate& candidate) {
  int named = minor_in_name(candidate.module->path);
  if (named >= 0 && named < oldest_minor)
    return unsupported("CPython 3." + std::to_string(named) + " can't be read: 3.8 is the oldest");
  std::vector<LayoutRow> rows;
  for (const LayoutRow& row : layout_rows()) {
    if (!row.debug && !row.free_threaded) rows.push_back(row);
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
    Result<Runtime> verified = verify(memory, std::move(runtime), candidate, false);
    if (verified) return verified;
    if (!first_error) first_error = verified.error();
  }
  if (!first_error) return unsupported("no layout is known");
  return *std::move(first_error);
}

Result<Runtime> identify(Memory& memory, const Candidate& candidate) {
  std::array<std::byte, debug_offsets_header_size> bytes{};
  Result<void> done = memory.read(candidate.runtime, bytes);
  if (!done) return std::move(done).error();

  PyVersion version;
  bool free_threaded = false, has_debug_offsets = false;
  if (Result<DebugOffsetsHeader> header = parse_debug_offsets_header(bytes)) {
    version = header->version;
    free_threaded = header->free_threaded;
    has_debug_offsets = true;
  } else if (candidate.version) {
    Result<std::uint64_t> hex = memory.read_value<std::uint64_t>(*candidate.version);
    if (!hex) return std::move(hex).error();
    version = version_of_hex(static_cast<std::uint32_t>(*hex));
    if (*hex >> 32 != 0 || version.major != 3)
      return Error{ErrorCode::corrupt, "its Py_Version is none of CPython 3", ""};
  } else {
    return try_tables(memory, candidate);
  }
  Result<Runtime> runtime =
      choose_layout(memory, candidate, version, false, free_threaded, has_debug_offsets);
  if (!runtime) return runtime;
  return verify(memory, *std::move(runtime), candidate, has_debug_offsets);
}

// A dict of `sys` may be changed while it is read, for nothing is held yet.
Result<Runtime> identify_steadily(Memory& memory, const Candidate& candidate) {
  Result<Runtime> runtime = identify(memory, candidate);
  for (int i = 1; i < attempts && !runtime && runtime.error().code != ErrorCode::unsupported; ++i)
    runtime = identify(memory, candidate);
  return runtime;
}

}  // namespace

Result<Runtime> find_runtime(Target& target) {
  bool older = false;
  std::optional<Error> first_error;
  for (const Module* module : modules_in_order(target)) {
    std::optional<Candidate> candidate = look_into(target, *module, older);
    if (!candidate) continue;
    Result<Runtime> runtime = identify_steadily(*target.memory, *candidate);
    if (runtime) {
      runtime->library = module->path;
      bool shared =
          base_name(module->path).find(".so") != std::string_view::npos && !is_executable(target, *module);
      runtime->linkage = shared ? Linkage::shared_library : Linkage::static_executable;
      return runtime;
    }
    // Another copy of the file may be the one that runs (ctypes maps the executable again).
    if (!first_error || first_error->code != ErrorCode::unsupported) first_error = runtime.error();
  }
  if (first_error) return std::move(*first_error).within("the CPython found");
  if (older) return unsupported("a CPython older than 3.8, which can't be read");
  return Error{ErrorCode::not_python, "no CPython was found in the process", ""};
}

}  // namespace pythreads::pyframes
