// A program of an architecture that this is not built for: 32-bit x86 on an x86-64 kernel, 32-bit Arm on an
// aarch64 one. Its pages could be read, its registers, calls and layouts could not. ELF header: elf(5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attach/mapping.h"
#include "attach/memory.h"

namespace pythreads::attach {

// The architecture of the first ELF file in memory, "32-bit x86", if it is another than ours; nothing where
// none was seen.
std::optional<std::string> find_foreign_architecture(const std::vector<Mapping>& mappings, Memory& memory);

}  // namespace pythreads::attach
