// Names, and lines where DWARF has them, for the frames of walked stacks.
//
// A return address is looked up one byte before, for the call may have been the last instruction of its
// function; the innermost frame and what a signal interrupted are looked up where they are.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "attach/shared_text.h"
#include "attach/target_files.h"
#include "unwinder/loaded_modules.h"
#include "unwinder/native_stack.h"
#include "unwinder/source_lines.h"
#include "unwinder/symbol_table.h"

namespace pythreads::unwinder {

class Symbolizer {
 public:
  // Both must outlive this.
  Symbolizer(LoadedModules& modules, attach::TargetFiles& files) : modules_(&modules), files_(&files) {}

  void symbolize(std::span<NativeStack* const> stacks, bool with_lines);

  // `stack` was symbolized elsewhere.
  void learn(const NativeStack& stack, bool with_lines);
  void use_files(attach::TargetFiles& files) { files_ = &files; }

 private:
  struct Name {
    attach::SharedText function;
    std::uint64_t value = 0;  // of the symbol, in the target
    bool lines_looked_up = false;
    attach::SharedText file;
    int line = 0;
    std::vector<InlinedCall> inlined;  // innermost first, demangled
  };
  // Symbol files beside the module's own, opened when a name was not found in it.
  struct MoreSymbols {
    bool tried = false;
    std::unique_ptr<ElfFile> mini;
    std::unique_ptr<ElfFile> debug_file;
    bool image_tried = false;
    std::unique_ptr<DebugImage> image;
  };

  void look_up(LoadedModule& module, std::vector<WantedSymbol>& wanted);
  void look_up_lines(LoadedModule& module, std::vector<SourcePlace>& places);
  MoreSymbols& more_symbols(LoadedModule& module, ElfFile& elf);
  void fill(NativeStack& stack);
  const Name* find_name(attach::Address at) const;

  LoadedModules* modules_;
  attach::TargetFiles* files_;
  std::unordered_map<std::uint64_t, Name> names_;  // by the address that was looked up
  std::unordered_map<const LoadedModule*, MoreSymbols> more_symbols_;
  std::unordered_map<const LoadedModule*, attach::SharedText> paths_;
};

}  // namespace pythreads::unwinder
