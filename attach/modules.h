// A module: an ELF file that is mapped into the target, and what its headers and symbol tables say.
//
// Symbols come from .dynsym, then .symtab, then the .symtab of .gnu_debugdata is left to the unwinder: what
// is looked up by name here (`_PyRuntime`, `Py_Version`, `_PyThreadState_Current`) is a handful. Nothing is
// ever opened but through `TargetFiles`. The file is judged by the build id that is mapped in memory: a
// replaced file on disk is not this module's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attach/mapping.h"
#include "attach/memory.h"
#include "attach/result.h"
#include "attach/target_files.h"

namespace pythreads::attach {

struct Module {
  std::string path;  // as the target sees it; "[vdso]" for the kernel's
  bool deleted = false;
  std::uint64_t bias = 0;  // add to an address of the ELF file to get one of the target
  Range range;             // first to last byte of its load segments in the target
  std::string build_id;    // hex digits, as mapped; empty if there is none or it could not be read
  Range eh_frame_hdr;      // PT_GNU_EH_FRAME in the target; size 0: none
  Range dynamic;           // PT_DYNAMIC in the target (exports.h); size 0: none, it is fully static
  Mapping first_mapping;   // the mapping that holds the ELF header; what TargetFiles opens
  std::string elf_header;  // 64 bytes as mapped; they judge the file where there is no build id
};

// Groups the mappings into modules, in the order of addresses, reading their ELF headers from the target's
// memory. A file that is mapped but not loaded (read through mmap; the executable opened once more by ctypes)
// is none: each load segment must lie where the header says, and one be executable. A library loaded twice
// (dlmopen) is two. 32-bit and foreign ELF files are left out.
std::vector<Module> find_modules(const std::vector<Mapping>& mappings, Memory& memory);

struct Symbol {
  Address address;  // in the target
  std::uint64_t size = 0;
};

// What an ELF file says, read once through libelf (ELF_C_READ: a file cut short must not be a SIGBUS).
struct ModuleSymbols {
  // In the order of `names`; none where the file has no such symbol.
  std::vector<std::optional<Symbol>> found;
  // Sections by name, in the target's addresses ("." included: ".PyRuntime"); none where there is no such
  // section.
  std::vector<std::optional<Range>> sections;
  bool has_symtab = false;
};

// ErrorCodes: unreadable (no file, or not one that may be opened), corrupt (another file than the mapped one,
// or none that parses). Undefined, thread-local and absolute symbols are not found, nor those that would lie
// outside of the module. Where several have one name, a global one is preferred.
Result<ModuleSymbols> read_symbols(const Module& module, TargetFiles& files,
                                   const std::vector<std::string_view>& names,
                                   const std::vector<std::string_view>& section_names);

}  // namespace pythreads::attach
