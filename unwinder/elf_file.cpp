#include "unwinder/elf_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "attach/architecture.h"

namespace pythreads::unwinder {

namespace {

constexpr std::size_t most_segments = 4096;
constexpr std::size_t most_sections = 65536;
constexpr std::size_t most_name_bytes = 4u << 20;
constexpr std::size_t most_note_bytes = 64u << 10;

attach::Error corrupt(std::string message) {
  return attach::Error{attach::ErrorCode::corrupt, std::move(message), {}};
}

template <typename T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

attach::Result<ElfFile> ElfFile::open(attach::ScopedFd file) {
  ElfFile elf;
  elf.file_ = std::move(file);
  attach::Result<void> done = elf.read_headers();
  if (!done) return std::move(done).error();
  return elf;
}

attach::Result<ElfFile> ElfFile::from_bytes(std::vector<std::byte> image) {
  ElfFile elf;
  elf.image_ = std::move(image);
  attach::Result<void> done = elf.read_headers();
  if (!done) return std::move(done).error();
  return elf;
}

std::size_t ElfFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > static_cast<std::uint64_t>(INT64_MAX)) return 0;
  if (!file_.is_open()) {
    if (offset >= image_.size()) return 0;
    const std::size_t count = std::min(into.size(), image_.size() - static_cast<std::size_t>(offset));
    if (count != 0) std::memcpy(into.data(), image_.data() + offset, count);
    return count;
  }
  std::size_t done = 0;
  while (done < into.size()) {
    const std::uint64_t at = offset + done;
    if (at > static_cast<std::uint64_t>(INT64_MAX)) break;
    const ssize_t got = ::pread(file_.get(), into.data() + done, into.size() - done, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

std::string ElfFile::read_string_at(std::uint64_t offset, std::size_t limit) const {
  std::string text;
  while (text.size() < limit) {
    char piece[256];
    const std::size_t wanted = std::min(sizeof piece, limit - text.size());
    const std::size_t got = read_at(offset + text.size(), std::as_writable_bytes(std::span(piece, wanted)));
    if (got == 0) return {};
    const void* zero = std::memchr(piece, 0, got);
    if (zero != nullptr) {
      text.append(piece, static_cast<std::size_t>(static_cast<const char*>(zero) - piece));
      return text;
    }
    text.append(piece, got);
  }
  return {};
}

attach::Result<void> ElfFile::read_headers() {
  if (read_at(0, bytes_of(header_)) != sizeof header_) return corrupt("too short for an ELF header");
  if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) return corrupt("not an ELF file");
  if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB ||
      header_.e_machine != attach::elf_machine) {
    return corrupt("not an ELF file for " + std::string(attach::architecture_name));
  }
  const std::size_t count = header_.e_phnum;
  if (count != 0) {
    if (header_.e_phentsize != sizeof(Elf64_Phdr) || count > most_segments) {
      return corrupt("program headers of a wrong size");
    }
    segments_.resize(count);
    const std::span<std::byte> into = std::as_writable_bytes(std::span(segments_));
    if (read_at(header_.e_phoff, into) != into.size()) return corrupt("program headers cut short");
  }
  return {};
}

const std::vector<ElfFile::Section>& ElfFile::sections() {
  if (!sections_) {
    sections_.emplace();
    read_sections();
  }
  return *sections_;
}

void ElfFile::read_sections() {
  if (header_.e_shoff == 0 || header_.e_shentsize != sizeof(Elf64_Shdr)) return;
  Elf64_Shdr first{};
  if (read_at(header_.e_shoff, bytes_of(first)) != sizeof first) return;
  // Where the counts don't fit into 16 bits they stand in the first section header.
  const std::uint64_t count = header_.e_shnum != 0 ? header_.e_shnum : first.sh_size;
  const std::uint64_t names_at = header_.e_shstrndx != SHN_XINDEX ? header_.e_shstrndx : first.sh_link;
  if (count > most_sections || names_at >= count) return;

  std::vector<Elf64_Shdr> headers(static_cast<std::size_t>(count));
  const std::span<std::byte> into = std::as_writable_bytes(std::span(headers));
  if (read_at(header_.e_shoff, into) != into.size()) return;

  const Elf64_Shdr& names_header = headers[static_cast<std::size_t>(names_at)];
  if (names_header.sh_type == SHT_NOBITS || names_header.sh_size > most_name_bytes) return;
  std::string names(static_cast<std::size_t>(names_header.sh_size), '\0');
  names.resize(read_at(names_header.sh_offset, std::as_writable_bytes(std::span(names))));

  sections_->reserve(headers.size());
  for (const Elf64_Shdr& header : headers) {
    Section section;
    section.header = header;
    if (header.sh_name < names.size()) section.name = names.c_str() + header.sh_name;
    sections_->push_back(std::move(section));
  }
}

const ElfFile::Section* ElfFile::find_section(std::string_view name) {
  for (const Section& section : sections()) {
    if (section.name == name && section.has_bytes()) return &section;
  }
  return nullptr;
}

const ElfFile::Section* ElfFile::find_section(std::uint32_t type) {
  for (const Section& section : sections()) {
    if (section.header.sh_type == type && section.has_bytes()) return &section;
  }
  return nullptr;
}

std::string ElfFile::build_id() {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_NOTE || segment.p_filesz == 0) continue;
    std::string found = find_build_id_in(segment.p_offset, segment.p_filesz, segment.p_align);
    if (!found.empty()) return found;
  }
  // In a detached debug file the program headers are those of the file it was taken from.
  for (const Section& section : sections()) {
    if (section.header.sh_type != SHT_NOTE || !section.has_bytes()) continue;
    std::string found =
        find_build_id_in(section.header.sh_offset, section.header.sh_size, section.header.sh_addralign);
    if (!found.empty()) return found;
  }
  return {};
}

std::string ElfFile::find_build_id_in(std::uint64_t offset, std::uint64_t size, std::uint64_t align) const {
  std::vector<std::byte> notes(static_cast<std::size_t>(std::min<std::uint64_t>(size, most_note_bytes)));
  notes.resize(read_at(offset, notes));
  const std::size_t unit = align == 8 ? 8 : 4;
  const auto round_up = [unit](std::size_t value) { return (value + unit - 1) / unit * unit; };
  std::size_t at = 0;
  while (at + sizeof(Elf64_Nhdr) <= notes.size()) {
    Elf64_Nhdr note{};
    std::memcpy(&note, notes.data() + at, sizeof note);
    const std::size_t name_at = at + sizeof note;
    if (note.n_namesz > notes.size() || note.n_descsz > notes.size()) break;
    const std::size_t text_at = round_up(name_at + note.n_namesz);
    if (text_at > notes.size() || note.n_descsz > notes.size() - text_at) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes.data() + name_at, "GNU", 4) == 0) {
      constexpr std::string_view digits = "0123456789abcdef";
      std::string id;
      for (std::size_t i = 0; i < note.n_descsz; ++i) {
        const unsigned value = std::to_integer<unsigned>(notes[text_at + i]);
        id.push_back(digits[value >> 4]);
        id.push_back(digits[value & 15]);
      }
      return id;
    }
    at = round_up(text_at + note.n_descsz);
  }
  return {};
}

std::size_t FileMemory::read_some(attach::Address from, std::span<std::byte> into) {
  const std::uint64_t at = from.value - bias_;
  for (const Elf64_Phdr& segment : elf_->segments()) {
    if (segment.p_type != PT_LOAD || at < segment.p_vaddr) continue;
    const std::uint64_t inside = at - segment.p_vaddr;
    if (inside >= segment.p_filesz) continue;
    const std::uint64_t room = segment.p_filesz - inside;
    if (segment.p_offset > static_cast<std::uint64_t>(INT64_MAX)) return 0;
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), room));
    return elf_->read_at(segment.p_offset + inside, into.first(count));
  }
  return 0;
}

}  // namespace pythreads::unwinder
