#include "pyframes/runtime_search.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "attach/exports.h"
#include "pyframes/debug_offsets.h"
#include "pyframes/interpreter_lists.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Mapping;
using attach::Module;
using attach::ModuleSymbols;
using attach::Result;
using attach::Symbol;
using attach::Target;

constexpr std::size_t most_modules = 512;             // looked into in search of a CPython
constexpr std::uint64_t most_scanned = 128ULL << 20;  // bytes of data searched, in all modules together
constexpr std::size_t scan_step = 1 << 20;
constexpr std::size_t most_candidates = 64;

const std::vector<std::string_view> symbol_names = {"_PyRuntime", "Py_Version", "_PyThreadState_Current",
                                                    "Py_Initialize"};
enum SymbolIndex : std::size_t { runtime_symbol, version_symbol, older_symbol, any_symbol };

}  // namespace

std::string_view base_name(std::string_view path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

RuntimeSearch::RuntimeSearch(Target& target, attach::Memory& scanned)
    : target_(target), scanned_(scanned), left_to_scan_(most_scanned) {
  auto rank = [&](const Module* module) {
    if (is_executable(*module)) return 0;
    return is_named_python(*module) ? 1 : 2;
  };
  for (const Module& module : target.modules) {
    if (module.path.empty() || module.path.front() == '[') continue;
    modules_.push_back(&module);
  }
  std::stable_sort(modules_.begin(), modules_.end(),
                   [&](const Module* a, const Module* b) { return rank(a) < rank(b); });
  if (modules_.size() > most_modules) modules_.resize(most_modules);
}

bool RuntimeSearch::is_executable(const Module& module) const {
  return !target_.process.executable.empty() && module.path == target_.process.executable;
}

bool RuntimeSearch::is_named_python(const Module& module) const {
  const std::string_view name = base_name(module.path);
  // An extension module says which Python it is for (PEP 3149).
  return name.find("python") != std::string_view::npos && name.find(".cpython-") == std::string_view::npos;
}

std::optional<RuntimeCandidate> RuntimeSearch::exported(const Module& module) {
  const std::vector<std::optional<Symbol>> found =
      attach::find_exports(module, *target_.memory, symbol_names);
  if (!found[runtime_symbol]) {
    saw_older_ = saw_older_ || found[older_symbol] || found[any_symbol];
    return std::nullopt;
  }
  RuntimeCandidate candidate{
      .module = &module, .runtime = found[runtime_symbol]->address, .version = {}, .places = {}};
  if (found[version_symbol]) candidate.version = found[version_symbol]->address;
  return candidate;
}

std::optional<RuntimeCandidate> RuntimeSearch::in_file(const Module& module) {
  const Result<ModuleSymbols> symbols =
      attach::read_symbols(module, *target_.files, symbol_names, {".PyRuntime"});
  if (!symbols || symbols->found.size() != symbol_names.size() || symbols->sections.size() != 1)
    return in_variables(module);
  RuntimeCandidate candidate;
  candidate.module = &module;
  if (symbols->found[version_symbol]) candidate.version = symbols->found[version_symbol]->address;
  if (symbols->found[runtime_symbol]) {
    candidate.runtime = symbols->found[runtime_symbol]->address;
    return candidate;
  }
  if (symbols->sections[0]) {
    candidate.runtime = symbols->sections[0]->begin;
    return candidate;
  }
  if (!symbols->found[older_symbol] && !symbols->found[any_symbol]) return std::nullopt;
  saw_older_ = true;
  return in_variables(module);
}

// By the file's symbols; of what is exported, where there is no file.
std::optional<RuntimeCandidate> RuntimeSearch::in_variables(const Module& module) {
  const std::vector<std::string_view>& names = runtime_variable_names();
  const Result<ModuleSymbols> symbols = attach::read_symbols(module, *target_.files, names, {});
  std::optional<RuntimePlaces> places = find_runtime_places(
      *target_.memory, symbols ? symbols->found : attach::find_exports(module, *target_.memory, names));
  if (!places) return std::nullopt;
  return RuntimeCandidate{
      .module = &module, .runtime = places->address, .version = {}, .places = std::move(places)};
}

std::vector<RuntimeCandidate> RuntimeSearch::in_data(const Module& module) {
  std::vector<RuntimeCandidate> found;
  auto add = [&](Address runtime) {
    auto same = [&](const RuntimeCandidate& known) { return known.runtime == runtime; };
    if (found.size() < most_candidates && std::none_of(found.begin(), found.end(), same))
      found.push_back({.module = &module, .runtime = runtime, .version = {}, .places = {}});
  };
  constexpr std::size_t overlap = std::max(debug_offsets_header_size, interpreter_list_size);
  const InterpreterLists lists(target_);
  std::vector<std::byte> bytes;
  for (const Mapping& mapping : target_.mappings) {
    if (!mapping.readable || !mapping.writable || mapping.shared) continue;
    if (!module.range.contains(mapping.range.begin)) continue;
    for (std::uint64_t at = 0; at < mapping.range.size && left_to_scan_ > 0; at += scan_step) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(
          {std::uint64_t{scan_step} + overlap, mapping.range.size - at, left_to_scan_}));
      bytes.resize(size);
      const std::size_t got = scanned_.read_up_to(mapping.range.begin + at, bytes);
      left_to_scan_ -= std::min<std::uint64_t>(left_to_scan_, size);
      for (std::size_t i = 0; i + 8 <= got; i += 8) {
        const std::span<const std::byte> rest = std::span(bytes).subspan(i, got - i);
        const Address here = mapping.range.begin + at + i;
        if (rest.size() >= debug_offsets_header_size &&
            std::memcmp(rest.data(), debug_offsets_cookie, 8) == 0 && parse_debug_offsets_header(rest))
          add(here);
        if (rest.size() >= interpreter_list_size && lists.may_be_one(rest)) {
          for (const Address runtime : lists.runtimes_of(here)) add(runtime);
        }
      }
    }
  }
  return found;
}

}  // namespace pythreads::pyframes
