#include "attach/foreign_program.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

struct KnownMachine {
  unsigned char elf_class;
  std::uint16_t machine;
  std::string_view name;
};
constexpr KnownMachine known_machines[] = {
    {ELFCLASS32, EM_386, "32-bit x86"},  {ELFCLASS32, EM_X86_64, "x32"},
    {ELFCLASS64, EM_X86_64, "x86-64"},   {ELFCLASS32, EM_ARM, "32-bit Arm"},
    {ELFCLASS64, EM_AARCH64, "aarch64"},
};

std::string name_of(unsigned char elf_class, std::uint16_t machine) {
  const auto* found = std::find_if(
      std::begin(known_machines), std::end(known_machines),
      [&](const KnownMachine& each) { return each.elf_class == elf_class && each.machine == machine; });
  if (found != std::end(known_machines)) return std::string(found->name);
  return "ELF machine " + std::to_string(machine);
}

}  // namespace

std::optional<std::string> find_foreign_architecture(const std::vector<Mapping>& mappings, Memory& memory) {
  for (const Mapping& mapping : mappings) {
    if (!mapping.readable || mapping.file_offset != 0 || mapping.path.empty() || mapping.path[0] != '/')
      continue;
    // The two classes have the same fields up to e_machine.
    const Result<Elf32_Ehdr> header = memory.read_value<Elf32_Ehdr>(mapping.range.begin);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) continue;
    const unsigned char elf_class = header->e_ident[EI_CLASS];
    if (elf_class == ELFCLASS64 && header->e_machine == elf_machine) return std::nullopt;
    return name_of(elf_class, header->e_machine);
  }
  return std::nullopt;
}

}  // namespace pythreads::attach
