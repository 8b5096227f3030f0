// DWARF of the target's: the units and line programs that we cut out, and what libdw and we make of them.
#include "unwinder/source_lines.h"

#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads;  // NOLINT: one function
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  attach::Result<unwinder::ElfFile> elf = unwinder::ElfFile::from_bytes({bytes.begin(), bytes.end()});
  if (!elf) return 0;
  const std::unique_ptr<unwinder::DebugImage> image = unwinder::DebugImage::make(*elf);
  if (!image) return 0;
  std::vector<unwinder::SourcePlace> places;
  const unwinder::ElfFile::Section* text = elf->find_section(".text");
  const std::uint64_t begin = text == nullptr ? 0x1000 : text->header.sh_addr;
  for (std::uint64_t offset = 0; offset < 0x80; offset += 4) places.push_back({begin + offset, {}, 0, {}});
  unwinder::find_source_places(*image, places);
  for (const unwinder::SourcePlace& place : places) {
    tests::require(place.line >= 0, "a line is not negative");
    tests::require(place.inlined.size() <= 10'000, "inlined calls are bounded");
  }
  return 0;
}
