#include "unwinder/elf_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

#include "unwinder/mini_debuginfo.h"
#include "unwinder/symbol_table.h"

namespace pythreads::unwinder {
namespace {

std::vector<std::byte> read_target(std::string_view name) {
  std::ifstream file(std::string(PYTHREADS_STACK_TARGETS).append(name), std::ios::binary);
  const std::vector<char> text((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::byte> bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

TEST(ElfFile, OneBuildIdInAllThatWasMadeOfOneProgram) {
  std::string first;
  for (const char* name :
       {"stack_target", "stack_target_stripped", "stack_target_mini", "stack_target.debug"}) {
    attach::Result<ElfFile> elf = ElfFile::from_bytes(read_target(name));
    ASSERT_TRUE(elf.ok()) << name;
    const std::string id = elf->build_id();
    EXPECT_EQ(id.size(), 40u) << name;
    if (first.empty()) first = id;
    EXPECT_EQ(id, first) << name;
  }
}

TEST(ElfFile, NotAnElfFile) {
  EXPECT_FALSE(ElfFile::from_bytes({}).ok());
  EXPECT_FALSE(ElfFile::from_bytes(std::vector<std::byte>(4096)).ok());
  EXPECT_FALSE(ElfFile::open(attach::ScopedFd()).ok());
  EXPECT_FALSE(ElfFile::open(attach::ScopedFd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC))).ok());
}

TEST(ElfFile, CutAnywhereItIsNoCrash) {
  const std::vector<std::byte> sound = read_target("stack_target_mini");
  for (std::size_t size = 0; size < sound.size(); size += 61) {
    attach::Result<ElfFile> elf =
        ElfFile::from_bytes({sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size)});
    if (!elf) continue;
    elf->build_id();
    EXPECT_FALSE(read_mini_debuginfo(*elf).ok());  // the section headers are the last
  }
}

TEST(ElfFile, CorruptBytesAreNoCrash) {
  const std::vector<std::byte> sound = read_target("stack_target");
  attach::Result<ElfFile> whole = ElfFile::from_bytes(sound);
  ASSERT_TRUE(whole.ok());
  const ElfFile::Section* table = whole->find_section(std::uint32_t{SHT_SYMTAB});
  ASSERT_NE(table, nullptr);
  std::mt19937 random(20240229);
  std::size_t found = 0;
  for (int round = 0; round < 500; ++round) {
    std::vector<std::byte> bytes = sound;
    for (int i = 0; i < 40; ++i) {
      // The header and the program headers, the section headers, the symbols.
      const std::size_t places[] = {
          random() % 1024, sound.size() - 1 - random() % 3000,
          static_cast<std::size_t>(table->header.sh_offset + random() % table->header.sh_size)};
      const std::size_t at = places[random() % 3];
      if (at >= 20) bytes[at] = static_cast<std::byte>(random() & 0xffu);
    }
    attach::Result<ElfFile> elf = ElfFile::from_bytes(std::move(bytes));
    if (!elf) continue;
    elf->build_id();
    std::vector<WantedSymbol> wanted(64);
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i].address = 0x1000 + i * 64;
    find_symbols(*elf, SHT_SYMTAB, wanted);
    find_symbols(*elf, SHT_DYNSYM, wanted);
    for (const WantedSymbol& one : wanted) found += one.found ? 1u : 0u;
  }
  EXPECT_GT(found, 0u);
}

TEST(MiniDebuginfo, HasTheSymbolsThatItWasMadeWith) {
  attach::Result<ElfFile> elf = ElfFile::from_bytes(read_target("stack_target_mini"));
  ASSERT_TRUE(elf.ok());
  attach::Result<ElfFile> mini = read_mini_debuginfo(*elf);
  ASSERT_TRUE(mini.ok()) << mini.error().message;
  EXPECT_NE(mini->find_section(std::uint32_t{SHT_SYMTAB}), nullptr);
  attach::Result<ElfFile> without = ElfFile::from_bytes(read_target("stack_target_stripped"));
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(read_mini_debuginfo(*without).error().code, attach::ErrorCode::unsupported);
}

TEST(SymbolTable, OnlyInsideOfASymbol) {
  attach::Result<ElfFile> elf = ElfFile::from_bytes(read_target("stack_target"));
  ASSERT_TRUE(elf.ok());
  const ElfFile::Section* plt = elf->find_section(".plt");
  const ElfFile::Section* data = elf->find_section(".bss");
  ASSERT_NE(plt, nullptr);
  std::vector<WantedSymbol> wanted(2);
  wanted[0].address = plt->header.sh_addr + 4;
  wanted[1].address = data == nullptr ? 0xffff'ffff'ffff : data->header.sh_addr;
  find_symbols(*elf, SHT_SYMTAB, wanted);
  EXPECT_FALSE(wanted[0].found) << wanted[0].name;
  EXPECT_FALSE(wanted[1].found) << wanted[1].name;
}

}  // namespace
}  // namespace pythreads::unwinder
