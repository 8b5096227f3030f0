#include "unwinder/symbolize.h"

#include <algorithm>
#include <map>
#include <utility>

#include "unwinder/demangle.h"
#include "unwinder/mini_debuginfo.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Result;

// The address to look up for frame `index`.
Address lookup_address(const NativeStack& stack, std::size_t index) {
  const NativeFrame& frame = stack.frames[index];
  const bool is_exact = index == 0 || frame.signal_trampoline || stack.frames[index - 1].signal_trampoline;
  return is_exact ? frame.pc : frame.pc - 1;
}

// The vdso's image was read while walking; there is nothing else to ask the target for.
class NoMemory final : public attach::Memory {
 private:
  std::size_t read_some(Address, std::span<std::byte>) override { return 0; }
};

bool all_found(const std::vector<WantedSymbol>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [](const WantedSymbol& one) { return one.found; });
}

}  // namespace

void Symbolizer::symbolize(std::span<NativeStack* const> stacks) {
  std::map<LoadedModule*, std::vector<WantedSymbol>> wanted;
  for (const NativeStack* stack : stacks) {
    for (std::size_t i = 0; i < stack->frames.size(); ++i) {
      const Address at = lookup_address(*stack, i);
      if (!names_.try_emplace(at.value).second) continue;
      LoadedModule* module = modules_->find(at);
      if (module != nullptr)
        wanted[module].push_back(WantedSymbol{at - Address(module->facts().bias), false, {}, 0});
    }
  }
  for (auto& [module, addresses] : wanted) {
    std::sort(addresses.begin(), addresses.end(),
              [](const WantedSymbol& a, const WantedSymbol& b) { return a.address < b.address; });
    look_up(*module, addresses);
    for (const WantedSymbol& one : addresses) {
      if (!one.found) continue;
      Name& name = names_[one.address + module->facts().bias];
      name.function = demangle(one.name);
      name.value = one.value + module->facts().bias;
    }
  }
  for (NativeStack* stack : stacks) fill(*stack);
}

void Symbolizer::look_up(LoadedModule& module, std::vector<WantedSymbol>& wanted) {
  NoMemory nothing;
  ElfFile* elf = module.file(*files_, nothing);
  if (elf == nullptr) return;
  find_symbols(*elf, SHT_SYMTAB, wanted);
  if (all_found(wanted)) return;
  find_symbols(*elf, SHT_DYNSYM, wanted);
  if (all_found(wanted)) return;
  MoreSymbols& more = more_symbols(module, *elf);
  if (more.mini) find_symbols(*more.mini, SHT_SYMTAB, wanted);
  if (all_found(wanted)) return;
  if (more.debug_file) find_symbols(*more.debug_file, SHT_SYMTAB, wanted);
}

Symbolizer::MoreSymbols& Symbolizer::more_symbols(LoadedModule& module, ElfFile& elf) {
  MoreSymbols& more = more_symbols_[&module];
  if (more.tried) return more;
  more.tried = true;
  if (Result<ElfFile> mini = read_mini_debuginfo(elf)) {
    more.mini = std::make_unique<ElfFile>(std::move(*mini));
  }
  // A file with a .symtab says all that its debug file says.
  const std::string& build_id = module.facts().build_id;
  if (build_id.empty() || elf.find_section(SHT_SYMTAB) != nullptr) return more;
  Result<attach::ScopedFd> opened = files_->open_debug_file(build_id);
  if (!opened) return more;
  Result<ElfFile> file = ElfFile::open(std::move(*opened));
  if (file && file->build_id() == build_id) more.debug_file = std::make_unique<ElfFile>(std::move(*file));
  return more;
}

void Symbolizer::fill(NativeStack& stack) const {
  for (std::size_t i = 0; i < stack.frames.size(); ++i) {
    NativeFrame& frame = stack.frames[i];
    const Address at = lookup_address(stack, i);
    const LoadedModule* module = modules_->find(at);
    if (module == nullptr) continue;
    frame.module = module->facts().path;
    frame.module_offset = frame.pc - Address(module->facts().bias);
    const auto name = names_.find(at.value);
    if (name == names_.end() || name->second.function.empty()) continue;
    frame.function = name->second.function;
    frame.symbol_offset = frame.pc - Address(name->second.value);
  }
}

}  // namespace pythreads::unwinder
