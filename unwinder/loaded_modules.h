// The target's modules as the unwinder needs them: found by address, each file opened at the first address
// that falls into it, and never by anyone but `TargetFiles`.
//
// A file is used only if it is the one that is mapped: its build id must be the mapped one. Where neither has
// a build id, the inode must be that of the mapping. The vdso has no file; its image is in the target's
// memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attach/mapping.h"
#include "attach/memory.h"
#include "attach/modules.h"
#include "attach/target_files.h"
#include "unwinder/elf_file.h"

namespace pythreads::unwinder {

class LoadedModule {
 public:
  explicit LoadedModule(attach::Module module) : facts_(std::move(module)) {}

  const attach::Module& facts() const { return facts_; }

  // Null when there is none that can be trusted; `why_no_file` then says why. `lasting` is asked for the
  // vdso.
  ElfFile* file(attach::TargetFiles& files, attach::Memory& lasting);
  const std::string& why_no_file() const { return why_no_file_; }

  // What doesn't change while the module is mapped (unwind tables, code): from its file, else from the
  // target.
  attach::Memory& contents(attach::TargetFiles& files, attach::Memory& lasting);

 private:
  attach::Result<ElfFile> open(attach::TargetFiles& files, attach::Memory& lasting) const;
  bool has_same_headers(const ElfFile& elf, attach::Memory& lasting) const;

  attach::Module facts_;
  bool tried_ = false;
  std::unique_ptr<ElfFile> elf_;  // its address is kept by contents_
  std::optional<FileMemory> contents_;
  std::string why_no_file_;
};

class LoadedModules {
 public:
  // `mappings` may be empty: then what is code is judged by the modules alone.
  LoadedModules(const std::vector<attach::Module>& modules, const std::vector<attach::Mapping>& mappings);

  LoadedModule* find(attach::Address at);

  // Whether the target may be executing at `at`: a mapping allows it. Without mappings, true for any address
  // in a module, and for one elsewhere that a user process can have.
  bool may_be_code(attach::Address at) const;

 private:
  std::vector<LoadedModule> modules_;      // by address
  std::vector<attach::Range> executable_;  // by address
  bool mappings_known_ = false;
};

}  // namespace pythreads::unwinder
