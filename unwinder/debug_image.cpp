#include "unwinder/debug_image.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "attach/architecture.h"
#include "unwinder/byte_reader.h"

namespace pythreads::unwinder {

namespace {

// CPython's: 0.6 MB of strings and ranges, its largest unit 0.4 MB with a line program of 0.1 MB.
constexpr std::uint64_t most_whole_section = 8u << 20;
constexpr std::uint64_t most_unit_bytes = 4u << 20;
constexpr std::uint64_t most_line_program = 512u << 10;
constexpr std::uint64_t most_abbreviations = 64u << 10;
constexpr std::uint64_t most_reserved = 1u << 30;
constexpr std::size_t most_unit_ranges = 1u << 20;
// Read for their ranges: CPython by clang has 300 units, of 14 MB.
constexpr std::uint64_t most_bytes_for_ranges = 64u << 20;
constexpr std::size_t most_units_for_ranges = 4096;

struct PartName {
  std::string_view section;
  bool whole;
};
constexpr std::array<PartName, 9> part_names = {{{".debug_str", true},
                                                 {".debug_str_offsets", true},
                                                 {".debug_line_str", true},
                                                 {".debug_ranges", true},
                                                 {".debug_rnglists", true},
                                                 {".debug_addr", true},
                                                 {".debug_abbrev", false},
                                                 {".debug_line", false},
                                                 {".debug_info", false}}};

bool begins_before(const DebugImage::UnitRange& a, const DebugImage::UnitRange& b) {
  return a.begin < b.begin;
}

}  // namespace

std::unique_ptr<DebugImage> DebugImage::make(ElfFile& elf) {
  std::unique_ptr<DebugImage> image(new DebugImage(elf));
  if (!image->place_parts()) return nullptr;
  image->read_aranges();
  return image;
}

DebugImage::~DebugImage() {
  if (image_ != nullptr) ::munmap(image_, image_size_);
}

bool DebugImage::place_parts() {
  std::uint64_t end = 4096;  // the headers come first
  for (std::size_t i = 0; i < parts; ++i) {
    const ElfFile::Section* section = elf_->find_section(part_names[i].section);
    const bool is_needed = i == abbreviations || i == lines || i == unit;
    if (section == nullptr) {
      if (is_needed) return false;
      continue;
    }
    if ((section->header.sh_flags & SHF_COMPRESSED) != 0) return false;
    Place& place = places_[i];
    place.file_offset = section->header.sh_offset;
    place.file_size = section->header.sh_size;
    if (place.file_size > most_reserved) return false;
    if (part_names[i].whole && place.file_size > most_whole_section) return false;
    place.image_size = i == unit ? std::min(place.file_size, most_unit_bytes) : place.file_size;
    place.image_offset = end;
    end += (place.image_size + 4095) / 4096 * 4096;
  }
  if (end > most_reserved) return false;
  void* region = ::mmap(nullptr, static_cast<std::size_t>(end), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) return false;
  image_ = static_cast<std::byte*>(region);
  image_size_ = static_cast<std::size_t>(end);
  for (std::size_t i = 0; i < parts; ++i) {
    if (part_names[i].whole && !copy(static_cast<Part>(i), 0, 0, places_[i].file_size)) return false;
  }
  return true;
}

bool DebugImage::copy(Part part, std::uint64_t from, std::uint64_t to, std::uint64_t size) {
  const Place& place = places_[part];
  if (from > place.file_size || size > place.file_size - from) return false;
  if (to > place.image_size || size > place.image_size - to) return false;
  const std::span<std::byte> into(image_ + place.image_offset + to, static_cast<std::size_t>(size));
  return elf_->read_at(place.file_offset + from, into) == into.size();
}

void DebugImage::read_aranges() {
  const ElfFile::Section* section = elf_->find_section(".debug_aranges");
  if (section == nullptr || (section->header.sh_flags & SHF_COMPRESSED) != 0) return;
  if (section->header.sh_size > most_whole_section) return;
  std::vector<std::byte> bytes(static_cast<std::size_t>(section->header.sh_size));
  if (elf_->read_at(section->header.sh_offset, bytes) != bytes.size()) return;
  ByteReader reader(bytes, attach::Address());
  while (!reader.at_end()) {
    const std::size_t begin = reader.position();
    const auto length = reader.read<std::uint32_t>();
    const std::uint64_t end = reader.position() + std::uint64_t{length};
    const auto version = reader.read<std::uint16_t>();
    const std::uint64_t unit_offset = reader.read<std::uint32_t>();
    const auto address_size = reader.read<std::uint8_t>();
    const auto segment_size = reader.read<std::uint8_t>();
    if (reader.failed() || end > bytes.size() || version != 2 || address_size != 8 || segment_size != 0)
      break;
    reader.skip((16 - (reader.position() - begin) % 16) % 16);
    while (!reader.failed() && reader.position() + 16 <= end && units_.size() < most_unit_ranges) {
      UnitRange range;
      range.begin = reader.read<std::uint64_t>();
      range.size = reader.read<std::uint64_t>();
      range.unit = unit_offset;
      if (range.size != 0) units_.push_back(range);
    }
    if (reader.position() > end) break;
    reader.skip(end - reader.position());
  }
  std::sort(units_.begin(), units_.end(), begins_before);
}

std::vector<std::uint64_t> DebugImage::take_units_without_ranges() {
  std::vector<std::uint64_t> found;
  if (std::exchange(own_ranges_taken_, true)) return found;
  std::unordered_set<std::uint64_t> known;
  for (const UnitRange& range : units_) known.insert(range.unit);
  std::uint64_t bytes = 0;
  for (std::uint64_t at = 0; at < places_[unit].file_size && found.size() < most_units_for_ranges;) {
    const std::optional<UnitHeader> header = header_of(at);
    if (!header) break;
    if (header->has_code && !known.contains(at)) {
      bytes += header->size;
      if (bytes > most_bytes_for_ranges) break;
      found.push_back(at);
    }
    at += header->size;
  }
  return found;
}

void DebugImage::add_ranges(std::span<const UnitRange> more) {
  const std::size_t room = most_unit_ranges - std::min(units_.size(), most_unit_ranges);
  const std::span<const UnitRange> added = more.first(std::min(more.size(), room));
  units_.insert(units_.end(), added.begin(), added.end());
  std::sort(units_.begin(), units_.end(), begins_before);
}

std::optional<std::uint64_t> DebugImage::find_unit(std::uint64_t address) const {
  const auto after =
      std::upper_bound(units_.begin(), units_.end(), address,
                       [](std::uint64_t at, const UnitRange& range) { return at < range.begin; });
  if (after == units_.begin()) return std::nullopt;
  const UnitRange& found = *std::prev(after);
  if (address - found.begin >= found.size) return std::nullopt;
  return found.unit;
}

std::optional<DebugImage::UnitHeader> DebugImage::read_unit_header(std::span<const std::byte> bytes) {
  ByteReader reader(bytes, attach::Address());
  std::uint64_t length = reader.read<std::uint32_t>();
  if (length >= 0xfffffff0u) return std::nullopt;  // 64-bit DWARF: no unit of that size is read here
  UnitHeader header;
  header.size = length + 4;
  const auto version = reader.read<std::uint16_t>();
  if (version == 5) {
    constexpr std::uint8_t compile_unit = 1;
    header.has_code = reader.read<std::uint8_t>() == compile_unit;
    reader.skip(1);  // address size
  } else if (version < 2 || version > 5) {
    return std::nullopt;
  }
  header.abbreviations = reader.read<std::uint32_t>();
  if (reader.failed()) return std::nullopt;
  return header;
}

std::optional<DebugImage::UnitHeader> DebugImage::header_of(std::uint64_t offset) const {
  const Place& info = places_[unit];
  if (offset >= info.file_size) return std::nullopt;
  std::array<std::byte, 32> head{};
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), info.file_size - offset));
  const std::size_t got = elf_->read_at(info.file_offset + offset, std::span(head).first(wanted));
  return read_unit_header(std::span<const std::byte>(head).first(got));
}

bool DebugImage::load_unit(std::uint64_t offset) {
  const std::optional<UnitHeader> header = header_of(offset);
  if (!header || header->size > most_unit_bytes || !copy(unit, offset, 0, header->size)) return false;

  const Place& abbreviation = places_[abbreviations];
  if (header->abbreviations >= abbreviation.file_size) return false;
  const std::uint64_t size = std::min(most_abbreviations, abbreviation.file_size - header->abbreviations);
  if (!copy(abbreviations, header->abbreviations, header->abbreviations, size)) return false;
  write_headers(header->size);
  return true;
}

bool DebugImage::load_lines(std::uint64_t offset) {
  const Place& place = places_[lines];
  std::uint32_t length = 0;
  if (offset > place.file_size || place.file_size - offset < sizeof length) return false;
  if (elf_->read_at(place.file_offset + offset, std::as_writable_bytes(std::span(&length, 1))) !=
      sizeof length) {
    return false;
  }
  if (length > most_line_program) return false;
  return copy(lines, offset, offset, std::uint64_t{length} + sizeof length);
}

std::span<std::byte> DebugImage::bytes() const {
  return {image_, image_size_};
}

// Section headers and their names; what has no place has no header.
void DebugImage::write_headers(std::uint64_t unit_size) {
  std::string names(1, '\0');
  std::vector<Elf64_Shdr> sections(1);
  for (std::size_t i = 0; i < parts; ++i) {
    if (places_[i].image_size == 0) continue;
    Elf64_Shdr header{};
    header.sh_name = static_cast<Elf64_Word>(names.size());
    names.append(part_names[i].section).push_back('\0');
    header.sh_type = SHT_PROGBITS;
    header.sh_offset = places_[i].image_offset;
    header.sh_size = i == unit ? unit_size : places_[i].image_size;
    header.sh_addralign = 1;
    sections.push_back(header);
  }
  Elf64_Shdr name_header{};
  name_header.sh_name = static_cast<Elf64_Word>(names.size());
  names.append(".shstrtab").push_back('\0');
  name_header.sh_type = SHT_STRTAB;
  name_header.sh_offset = sizeof(Elf64_Ehdr) + (sections.size() + 1) * sizeof(Elf64_Shdr);
  name_header.sh_size = names.size();
  name_header.sh_addralign = 1;
  sections.push_back(name_header);

  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = attach::elf_machine;
  header.e_version = EV_CURRENT;
  header.e_shoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = static_cast<Elf64_Half>(sections.size());
  header.e_shstrndx = static_cast<Elf64_Half>(sections.size() - 1);
  std::memcpy(image_, &header, sizeof header);
  std::memcpy(image_ + sizeof header, sections.data(), sections.size() * sizeof(Elf64_Shdr));
  std::memcpy(image_ + name_header.sh_offset, names.data(), names.size());
}

}  // namespace pythreads::unwinder
