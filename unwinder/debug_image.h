// The part of a file's DWARF that one compilation unit needs, as a small ELF image in our own memory, for
// libdw.
//
// Why not the file itself: libdw would map it (a file cut short is then SIGBUS) or read whole sections, and a
// libpython has 14 MB of .debug_info where 31 addresses lie in 20 units of 5 to 400 KB. So units are found by
// .debug_aranges, and only theirs is copied, with bounds, into a region that is reserved once: strings and
// ranges whole, abbreviations and line programs at their offsets, the unit itself as the only one of
// .debug_info. Which code a unit has that .debug_aranges says nothing of (clang writes none) is told by the
// unit itself: whoever reads it notes that here. References into other units (link-time optimisation, dwz)
// lead nowhere then: what they would name is left out. DWARF 5, sections 6.1.2 (aranges), 7.5.1 (unit
// headers), 6.2.4 (line programs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "unwinder/elf_file.h"

namespace pythreads::unwinder {

class DebugImage {
 public:
  struct UnitRange {
    std::uint64_t begin = 0;
    std::uint64_t size = 0;
    std::uint64_t unit = 0;
  };

  // None when the file has no uncompressed DWARF, or too much of it.
  static std::unique_ptr<DebugImage> make(ElfFile& elf);
  ~DebugImage();
  DebugImage(const DebugImage&) = delete;
  DebugImage& operator=(const DebugImage&) = delete;

  // Where the unit begins in .debug_info whose code holds `address` (as in the file).
  std::optional<std::uint64_t> find_unit(std::uint64_t address) const;

  // The units that .debug_aranges says nothing of, as far as they are to be read for their ranges; once, then
  // none. What they tell is added.
  std::vector<std::uint64_t> take_units_without_ranges();
  void add_ranges(std::span<const UnitRange> more);

  // Puts the unit into the image in the place of the one before. False: it can't be read, or is too large.
  bool load_unit(std::uint64_t offset);
  // Its line program, by DW_AT_stmt_list.
  bool load_lines(std::uint64_t offset);

  // REQUIRES: load_unit() was true. What libdw made of the image before is dangling after the next load_unit.
  std::span<std::byte> bytes() const;

 private:
  enum Part : std::size_t {
    strings,
    string_offsets,
    line_strings,
    ranges,
    range_lists,
    addresses,
    abbreviations,
    lines,
    unit,
    parts
  };
  struct Place {
    std::uint64_t file_offset = 0;
    std::uint64_t file_size = 0;
    std::uint64_t image_offset = 0;
    std::uint64_t image_size = 0;
  };

  struct UnitHeader {
    std::uint64_t size = 0;  // with the length field itself
    std::uint64_t abbreviations = 0;
    bool has_code = true;  // DWARF 5 tells those apart that have types only, or parts of other units
  };

  DebugImage(ElfFile& elf) : elf_(&elf) {}
  bool place_parts();
  void read_aranges();
  static std::optional<UnitHeader> read_unit_header(std::span<const std::byte> bytes);
  std::optional<UnitHeader> header_of(std::uint64_t offset) const;
  bool copy(Part part, std::uint64_t from, std::uint64_t to, std::uint64_t size);
  void write_headers(std::uint64_t unit_size);

  ElfFile* elf_;
  Place places_[parts];
  std::byte* image_ = nullptr;
  std::size_t image_size_ = 0;
  std::vector<UnitRange> units_;  // by begin
  bool own_ranges_taken_ = false;
};

}  // namespace pythreads::unwinder
