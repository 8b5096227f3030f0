// An ELF file of the target's as the unwinder reads it: headers, sections, segments as memory, build id,
// symbols, and the small ELF file that may be packed inside.
#include "unwinder/elf_file.h"

#include <algorithm>

#include "tests/fuzz/require.h"
#include "unwinder/mini_debuginfo.h"
#include "unwinder/symbol_table.h"

namespace {

using namespace pythreads;  // NOLINT: one file
using tests::require;

void look_up(unwinder::ElfFile& elf) {
  std::vector<unwinder::WantedSymbol> wanted;
  for (std::uint64_t address = 0; address < 0x4000; address += 0x80)
    wanted.push_back({address, false, {}, 0});
  unwinder::find_symbols(elf, SHT_SYMTAB, wanted);
  unwinder::find_symbols(elf, SHT_DYNSYM, wanted);
  for (const unwinder::WantedSymbol& symbol : wanted)
    require(!symbol.found || symbol.value <= symbol.address, "a symbol begins before what it names");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  attach::Result<unwinder::ElfFile> elf = unwinder::ElfFile::from_bytes({bytes.begin(), bytes.end()});
  if (!elf) return 0;
  require(elf->build_id().size() <= 2 * size, "a build id is part of the file");
  for (const unwinder::ElfFile::Section& section : elf->sections())
    require(section.name.size() <= size, "a name is part of the file");
  elf->find_section(".text");
  unwinder::FileMemory memory(*elf, 0x7f00'0000'0000);
  for (const Elf64_Phdr& segment : elf->segments()) {
    std::array<std::byte, 64> read{};
    memory.read_up_to(attach::Address(0x7f00'0000'0000 + segment.p_vaddr), read);
    memory.read_up_to(attach::Address(0x7f00'0000'0000 + segment.p_vaddr + segment.p_filesz - 8), read);
  }
  look_up(*elf);
  if (attach::Result<unwinder::ElfFile> mini = unwinder::read_mini_debuginfo(*elf)) look_up(*mini);
  return 0;
}
