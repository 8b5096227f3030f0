#include "unwinder/source_lines.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

namespace pythreads::unwinder {
namespace {

std::vector<std::byte> read_target() {
  std::ifstream file(std::string(PYTHREADS_STACK_TARGETS) + "stack_target", std::ios::binary);
  const std::vector<char> text((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::byte> bytes(text.size());
  std::transform(text.begin(), text.end(), bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

std::vector<SourcePlace> places_in_text(ElfFile& elf) {
  std::vector<SourcePlace> places;
  const ElfFile::Section* text = elf.find_section(".text");
  if (text == nullptr) return places;
  for (std::uint64_t at = 0; at < text->header.sh_size && places.size() < 200; at += 16) {
    places.push_back({text->header.sh_addr + at, {}, 0, {}});
  }
  return places;
}

TEST(SourceLines, MostOfTheProgramHasThem) {
  attach::Result<ElfFile> elf = ElfFile::from_bytes(read_target());
  ASSERT_TRUE(elf.ok());
  const std::unique_ptr<DebugImage> image = DebugImage::make(*elf);
  ASSERT_NE(image, nullptr);
  std::vector<SourcePlace> places = places_in_text(*elf);
  find_source_places(*image, places);
  std::size_t with_line = 0;
  std::size_t with_inlined = 0;
  for (const SourcePlace& place : places) {
    with_line += place.line > 0 ? 1u : 0u;
    with_inlined += place.inlined.empty() ? 0u : 1u;
  }
  EXPECT_GT(with_line, places.size() / 2);
  EXPECT_GT(with_inlined, 0u);
}

// clang writes no .debug_aranges: the units themselves tell what code they have.
TEST(SourceLines, UnitsTellOfTheirCodeThemselves) {
  std::vector<std::byte> bytes = read_target();
  attach::Result<ElfFile> with = ElfFile::from_bytes(bytes);
  ASSERT_TRUE(with.ok());
  const ElfFile::Section* aranges = with->find_section(".debug_aranges");
  ASSERT_NE(aranges, nullptr);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(aranges->header.sh_offset), aranges->header.sh_size,
              std::byte{0});
  attach::Result<ElfFile> without = ElfFile::from_bytes(std::move(bytes));
  ASSERT_TRUE(without.ok());

  std::vector<SourcePlace> expected = places_in_text(*with);
  find_source_places(*DebugImage::make(*with), expected);
  std::vector<SourcePlace> found = places_in_text(*without);
  find_source_places(*DebugImage::make(*without), found);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].line, expected[i].line) << i;
    EXPECT_EQ(found[i].file, expected[i].file) << i;
    EXPECT_EQ(found[i].inlined.size(), expected[i].inlined.size()) << i;
  }
}

// What libdw and we make of it may be anything but a crash.
TEST(SourceLines, CorruptDwarfIsNoCrash) {
  const std::vector<std::byte> sound = read_target();
  attach::Result<ElfFile> whole = ElfFile::from_bytes(sound);
  ASSERT_TRUE(whole.ok());
  std::mt19937 random(20240229);
  std::size_t with_line = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<std::byte> bytes = sound;
    for (const char* name :
         {".debug_info", ".debug_abbrev", ".debug_line", ".debug_rnglists", ".debug_str", ".debug_aranges"}) {
      const ElfFile::Section* section = whole->find_section(name);
      if (section == nullptr || random() % 2 != 0) continue;
      const int changes = 1 << (random() % 7);
      for (int i = 0; i < changes; ++i) {
        bytes[static_cast<std::size_t>(section->header.sh_offset + random() % section->header.sh_size)] =
            static_cast<std::byte>(random() & 0xffu);
      }
    }
    attach::Result<ElfFile> elf = ElfFile::from_bytes(std::move(bytes));
    ASSERT_TRUE(elf.ok());
    const std::unique_ptr<DebugImage> image = DebugImage::make(*elf);
    if (!image) continue;
    std::vector<SourcePlace> places = places_in_text(*elf);
    find_source_places(*image, places);
    for (const SourcePlace& place : places) with_line += place.line > 0 ? 1u : 0u;
  }
  EXPECT_GT(with_line, 0u);
}

}  // namespace
}  // namespace pythreads::unwinder
