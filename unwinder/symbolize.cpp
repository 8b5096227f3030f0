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

// The address to look up for a frame; `inner`: the next inner one that is no inlined call, null for none.
Address lookup_address(const NativeFrame& frame, const NativeFrame* inner) {
  const bool is_exact = inner == nullptr || frame.signal_trampoline || inner->signal_trampoline;
  return is_exact ? frame.pc : frame.pc - 1;
}

Address lookup_address(const NativeStack& stack, std::size_t index) {
  return lookup_address(stack.frames[index], index == 0 ? nullptr : &stack.frames[index - 1]);
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

void Symbolizer::symbolize(std::span<NativeStack* const> stacks, bool with_lines) {
  struct Wanted {
    std::vector<WantedSymbol> symbols;
    std::vector<SourcePlace> places;
  };
  std::map<LoadedModule*, Wanted> wanted;
  for (NativeStack* stack : stacks) {
    std::erase_if(stack->frames, [](const NativeFrame& frame) { return frame.inlined; });  // of a call before
    for (std::size_t i = 0; i < stack->frames.size(); ++i) {
      const Address at = lookup_address(*stack, i);
      const auto [name, is_new] = names_.try_emplace(at.value);
      const bool wants_line = with_lines && !name->second.lines_looked_up;
      if (!is_new && !wants_line) continue;
      name->second.lines_looked_up = with_lines;
      LoadedModule* module = modules_->find(at);
      if (module == nullptr) continue;
      const std::uint64_t address = at - Address(module->facts().bias);
      if (is_new) wanted[module].symbols.push_back({address, false, {}, 0});
      if (wants_line) wanted[module].places.push_back({address, {}, 0, {}});
    }
  }
  for (auto& [module, both] : wanted) {
    std::sort(both.symbols.begin(), both.symbols.end(),
              [](const WantedSymbol& a, const WantedSymbol& b) { return a.address < b.address; });
    look_up(*module, both.symbols);
    for (const WantedSymbol& one : both.symbols) {
      if (!one.found) continue;
      Name& name = names_[one.address + module->facts().bias];
      name.function = demangle(one.name);
      name.value = one.value + module->facts().bias;
    }
    if (!both.places.empty()) look_up_lines(*module, both.places);
  }
  for (NativeStack* stack : stacks) fill(*stack);
}

void Symbolizer::learn(const NativeStack& stack, bool with_lines) {
  std::vector<InlinedCall> inlined;
  const NativeFrame* inner = nullptr;
  for (const NativeFrame& frame : stack.frames) {
    if (frame.inlined) {
      inlined.push_back({frame.function, frame.file, frame.line});
      continue;
    }
    Name& name = names_[lookup_address(frame, inner).value];
    name.function = frame.function;
    name.value = frame.pc.value - frame.symbol_offset;
    name.lines_looked_up = name.lines_looked_up || with_lines;
    name.file = frame.file;
    name.line = frame.line;
    name.inlined = std::exchange(inlined, {});
    inner = &frame;
  }
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

void Symbolizer::look_up_lines(LoadedModule& module, std::vector<SourcePlace>& places) {
  NoMemory nothing;
  ElfFile* elf = module.file(*files_, nothing);
  if (elf == nullptr) return;
  MoreSymbols& more = more_symbols(module, *elf);
  if (!more.image_tried) more.image = DebugImage::make(*elf);
  if (!more.image_tried && !more.image && more.debug_file) more.image = DebugImage::make(*more.debug_file);
  more.image_tried = true;
  if (!more.image) return;
  find_source_places(*more.image, places);
  for (SourcePlace& place : places) {
    Name& name = names_[place.address + module.facts().bias];
    name.file = std::move(place.file);
    name.line = place.line;
    name.inlined = std::move(place.inlined);
    for (InlinedCall& call : name.inlined) call.function = demangle(call.function);
  }
}

Symbolizer::MoreSymbols& Symbolizer::more_symbols(LoadedModule& module, ElfFile& elf) {
  MoreSymbols& more = more_symbols_[&module];
  if (more.tried) return more;
  more.tried = true;
  if (Result<ElfFile> mini = read_mini_debuginfo(elf)) {
    more.mini = std::make_unique<ElfFile>(std::move(*mini));
  }
  // A file with symbols and DWARF says all that its debug file says.
  const std::string& build_id = module.facts().build_id;
  const bool is_whole = elf.find_section(SHT_SYMTAB) != nullptr && elf.find_section(".debug_info") != nullptr;
  if (build_id.empty() || is_whole) return more;
  Result<attach::ScopedFd> opened = files_->open_debug_file(build_id);
  if (!opened) return more;
  Result<ElfFile> file = ElfFile::open(std::move(*opened));
  if (!file || file->build_id() != build_id) return more;
  more.debug_file = std::make_unique<ElfFile>(std::move(*file));
  return more;
}

const Symbolizer::Name* Symbolizer::find_name(Address at) const {
  const auto name = names_.find(at.value);
  return name == names_.end() ? nullptr : &name->second;
}

void Symbolizer::fill(NativeStack& stack) {
  std::vector<NativeFrame> frames;
  frames.reserve(stack.frames.size() + 8);
  for (std::size_t i = 0; i < stack.frames.size(); ++i) {
    NativeFrame frame = std::move(stack.frames[i]);
    const Address at = lookup_address(stack, i);
    const LoadedModule* module = modules_->find(at);
    const Name* name = module == nullptr ? nullptr : find_name(at);
    if (module != nullptr) {
      attach::SharedText& path = paths_[module];
      if (path.empty()) path = module->facts().path;
      frame.module = path;
      frame.module_offset = frame.pc - Address(module->facts().bias);
    }
    if (name != nullptr) {
      for (const InlinedCall& call : name->inlined) {
        NativeFrame inlined = frame;
        inlined.inlined = true;
        inlined.function = call.function;
        inlined.file = call.file;
        inlined.line = call.line;
        frames.push_back(std::move(inlined));
      }
      if (!name->function.empty()) {
        frame.function = name->function;
        frame.symbol_offset = frame.pc - Address(name->value);
      }
      frame.file = name->file;
      frame.line = name->line;
    }
    frames.push_back(std::move(frame));
  }
  stack.frames = std::move(frames);
}

}  // namespace pythreads::unwinder
