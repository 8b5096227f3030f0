#include "unwinder/cfi.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "unwinder/elf_file.h"

#if defined(__x86_64__)
#define LIBRARY_FOLDER "/lib/x86_64-linux-gnu"
#define LOADER "ld-linux-x86-64.so.2"
#else
#define LIBRARY_FOLDER "/lib/aarch64-linux-gnu"
#define LOADER "ld-linux-aarch64.so.1"
#endif

namespace pythreads::unwinder {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;
using attach::ScopedFd;

struct OpenFile {
  std::unique_ptr<ElfFile> elf;
  Range eh_frame_hdr;
};

OpenFile open_file(const std::string& path) {
  OpenFile file;
  Result<ElfFile> elf = ElfFile::open(ScopedFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
  EXPECT_TRUE(elf.ok()) << path;
  if (!elf) return file;
  file.elf = std::make_unique<ElfFile>(std::move(*elf));
  for (const Elf64_Phdr& segment : file.elf->segments()) {
    if (segment.p_type == PT_GNU_EH_FRAME) {
      file.eh_frame_hdr = Range{Address(segment.p_vaddr), segment.p_memsz};
    }
  }
  return file;
}

// A rule as a string, as we read it and as libdw does.
std::string our_rule(const CfiRow& row, std::size_t number) {
  switch (row.rules[number]) {
    case CfiRule::unspecified:
      return "unspecified";
    case CfiRule::same_value:
      return "same";
    case CfiRule::undefined:
      return "undefined";
    case CfiRule::offset:
      return "cfa" + std::to_string(row.values[number]);
    case CfiRule::value_offset:
      return "=cfa" + std::to_string(row.values[number]);
    case CfiRule::other_register:
      return "register" + std::to_string(row.values[number]);
    default:
      return "expression";
  }
}

std::string libdw_rule(Dwarf_Frame* frame, int number) {
  Dwarf_Op storage[3];
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_register(frame, number, storage, &operations, &count) != 0) return "error";
  // libdw doesn't tell an unspecified register from these two.
  if (count == 0) return operations == nullptr ? "same" : "undefined";
  if (operations[0].atom == DW_OP_regx) return "register" + std::to_string(operations[0].number);
  if (operations == storage && operations[0].atom == DW_OP_call_frame_cfa) {
    const std::int64_t offset = count > 1 && operations[1].atom == DW_OP_plus_uconst
                                    ? static_cast<std::int64_t>(operations[1].number)
                                    : 0;
    const bool is_value = operations[count - 1].atom == DW_OP_stack_value;
    return (is_value ? "=cfa" : "cfa") + std::to_string(offset);
  }
  return "expression";
}

std::string our_cfa(const CfiRow& row) {
  if (row.cfa_is_expression) return "expression";
  return "register" + std::to_string(row.cfa_register) + "+" + std::to_string(row.cfa_offset);
}

std::string libdw_cfa(Dwarf_Frame* frame) {
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_cfa(frame, &operations, &count) != 0) return "error";
  if (count == 1 && operations[0].atom == DW_OP_bregx) {
    return "register" + std::to_string(operations[0].number) + "+" +
           std::to_string(static_cast<std::int64_t>(operations[0].number2));
  }
  return "expression";
}

// Functions of the system's libc and Python, each at its begin, its end, and places between: libdw reads the
// same tables and must come to the same rows. All 30,000 agreed; every seventh is enough from day to day.
class AgainstLibdw : public testing::TestWithParam<const char*> {};

TEST_P(AgainstLibdw, SameRows) {
  const std::string path = GetParam();
  OpenFile file = open_file(path);
  ASSERT_TRUE(file.elf);
  FileMemory memory(*file.elf, 0);

  elf_version(EV_CURRENT);
  ScopedFd descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(descriptor.get(), ELF_C_READ, nullptr), elf_end);
  ASSERT_NE(elf, nullptr);
  const std::unique_ptr<Dwarf_CFI, int (*)(Dwarf_CFI*)> cfi(dwarf_getcfi_elf(elf.get()), dwarf_cfi_end);
  ASSERT_NE(cfi, nullptr);

  struct Entry {
    std::int32_t function;
    std::int32_t record;
  };
  std::size_t compared = 0;
  const std::uint64_t count = (file.eh_frame_hdr.size - 12) / sizeof(Entry);
  ASSERT_GT(count, 100u);
  for (std::uint64_t i = 0; i < count; i += 7) {
    const Entry entry = *memory.read_value<Entry>(file.eh_frame_hdr.begin + 12 + i * sizeof(Entry));
    const Address begin = file.eh_frame_hdr.begin + static_cast<std::uint64_t>(std::int64_t{entry.function});
    Result<CfiRow> first = find_cfi_row(memory, file.eh_frame_hdr, begin);
    ASSERT_TRUE(first.ok()) << std::hex << begin.value << ": " << first.error().message;
    ASSERT_EQ(first->function.begin, begin);
    const std::uint64_t size = first->function.size;
    for (const std::uint64_t offset : {std::uint64_t{0}, size / 5, size / 3, size / 2, size - 1}) {
      Result<CfiRow> row = find_cfi_row(memory, file.eh_frame_hdr, begin + offset);
      ASSERT_TRUE(row.ok());
      Dwarf_Frame* frame_found = nullptr;
      ASSERT_EQ(dwarf_cfi_addrframe(cfi.get(), (begin + offset).value, &frame_found), 0);
      const std::unique_ptr<Dwarf_Frame, decltype(&free)> frame(frame_found, free);
      ASSERT_EQ(our_cfa(*row), libdw_cfa(frame.get())) << std::hex << (begin + offset).value;
      bool is_signal = false;
      dwarf_frame_info(frame.get(), nullptr, nullptr, &is_signal);
      ASSERT_EQ(row->signal_frame, is_signal);
      for (const std::size_t number : {3u, 6u, 12u, 13u, 14u, 15u, 16u}) {
        const std::string ours = our_rule(*row, number);
        const std::string theirs = libdw_rule(frame.get(), static_cast<int>(number));
        const bool both_say_nothing = ours == "unspecified" && (theirs == "same" || theirs == "undefined");
        ASSERT_TRUE(ours == theirs || both_say_nothing)
            << ours << ", libdw: " << theirs << ": register " << number << " at " << std::hex
            << (begin + offset).value;
      }
      ++compared;
    }
  }
  EXPECT_EQ(compared, (count + 6) / 7 * 5);
}

INSTANTIATE_TEST_SUITE_P(SystemFiles, AgainstLibdw,
                         testing::Values(LIBRARY_FOLDER "/libc.so.6", "/usr/bin/python3",
                                         "/usr" LIBRARY_FOLDER "/libstdc++.so.6", LIBRARY_FOLDER "/" LOADER));

// Bytes at an address, some of them wrong.
class BytesMemory final : public attach::Memory {
 public:
  BytesMemory(std::vector<std::byte> content, Address begin) : bytes(std::move(content)), begin_(begin) {}
  std::vector<std::byte> bytes;

 private:
  std::size_t read_some(Address from, std::span<std::byte> into) override {
    const std::uint64_t inside = from - begin_;
    if (inside >= bytes.size()) return 0;
    const std::size_t count = std::min(into.size(), bytes.size() - static_cast<std::size_t>(inside));
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(inside), count, into.begin());
    return count;
  }
  Address begin_;
};

BytesMemory tables_of(const OpenFile& file) {
  FileMemory memory(*file.elf, 0);
  std::vector<std::byte> bytes(1u << 20);
  bytes.resize(memory.read_up_to(file.eh_frame_hdr.begin, bytes));
  return BytesMemory(std::move(bytes), file.eh_frame_hdr.begin);
}

TEST(Cfi, CorruptTablesAreErrors) {
  const OpenFile file = open_file(LIBRARY_FOLDER "/libc.so.6");
  ASSERT_TRUE(file.elf);
  BytesMemory memory = tables_of(file);
  const std::vector<std::byte> sound = memory.bytes;
  std::mt19937 random(20240229);
  std::size_t rows = 0;
  std::size_t errors = 0;
  for (int round = 0; round < 100; ++round) {
    memory.bytes = sound;
    for (int i = 0; i < 4000; ++i) {
      memory.bytes[random() % memory.bytes.size()] = static_cast<std::byte>(random() & 0xffu);
    }
    for (int i = 0; i < 50; ++i) {
      const Address pc(0x26000 + random() % 0x150000);
      (find_cfi_row(memory, file.eh_frame_hdr, pc).ok() ? rows : errors) += 1;
    }
  }
  EXPECT_GT(rows, 0u);
  EXPECT_GT(errors, 0u);
}

TEST(Cfi, TablesCutShortAreErrors) {
  const OpenFile file = open_file(LIBRARY_FOLDER "/libc.so.6");
  ASSERT_TRUE(file.elf);
  BytesMemory memory = tables_of(file);
  const std::vector<std::byte> sound = memory.bytes;
  const Address pc(0x50000);
  ASSERT_TRUE(find_cfi_row(memory, file.eh_frame_hdr, pc).ok());
  for (const std::size_t size : {0u, 1u, 3u, 4u, 11u, 12u, 20u, 4000u, 29000u, 30000u}) {
    memory.bytes.assign(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(find_cfi_row(memory, file.eh_frame_hdr, pc).ok()) << size;
  }
  EXPECT_FALSE(find_cfi_row(memory, Range{}, pc).ok());
  EXPECT_FALSE(find_cfi_row(memory, Range{Address(~0ull - 3), 100}, pc).ok());
}

TEST(Cfi, AnAddressThatNoEntryCovers) {
  const OpenFile file = open_file(LIBRARY_FOLDER "/libc.so.6");
  ASSERT_TRUE(file.elf);
  FileMemory memory(*file.elf, 0);
  for (const std::uint64_t at : {0ull, 0x1000ull, 0x7fff'ffffull, ~0ull}) {
    const Result<CfiRow> row = find_cfi_row(memory, file.eh_frame_hdr, Address(at));
    ASSERT_FALSE(row.ok()) << at;
    EXPECT_EQ(row.error().code, attach::ErrorCode::unsupported) << row.error().message;
  }
}

}  // namespace
}  // namespace pythreads::unwinder
