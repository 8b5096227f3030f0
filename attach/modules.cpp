#include "attach/modules.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "attach/architecture.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t most_program_headers = 512;  // real ones have 10 to 20
constexpr std::uint64_t longest_notes = std::uint64_t{64} << 10;
constexpr std::size_t longest_build_id = 64;
constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t address_space = std::uint64_t{1} << 57;  // with five-level page tables

std::uint64_t page_down(std::uint64_t at) {
  return at & ~(page_size - 1);
}

using FileKey = std::tuple<std::uint64_t, std::uint64_t, std::string_view>;

FileKey file_key(const Mapping& mapping) {
  return {mapping.device, mapping.inode, mapping.path};
}

bool is_file(const Mapping& mapping) {
  return mapping.inode != 0 || mapping.path.starts_with('/');
}

bool may_hold_header(const Mapping& mapping) {
  return mapping.readable && (mapping.path == "[vdso]" || (is_file(mapping) && mapping.file_offset == 0));
}

bool is_ours_to_read(const Elf64_Ehdr& header) {
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == elf_machine &&
         (header.e_type == ET_DYN || header.e_type == ET_EXEC) && header.e_phentsize == sizeof(Elf64_Phdr) &&
         header.e_phnum > 0 && header.e_phnum <= most_program_headers;
}

bool fits(const Elf64_Phdr& segment) {
  return segment.p_memsz < address_space && segment.p_vaddr < address_space &&
         segment.p_offset < address_space && segment.p_filesz <= segment.p_memsz;
}

// Whether the segment lies where the header says. Another file's or no file's bytes there are believed: text
// moved to huge pages has no file any more.
bool is_loaded(const Elf64_Phdr& segment, std::uint64_t bias, const Mapping& first,
               const std::vector<Mapping>& mappings) {
  std::uint64_t at = page_down(bias + segment.p_vaddr);
  const Mapping* found = find_mapping(mappings, Address(at));
  if (!found) return false;
  if ((segment.p_flags & PF_X) && !found->executable) return false;
  if (!is_file(*found) || file_key(*found) != file_key(first)) return true;
  return found->file_offset + (at - found->range.begin.value) == page_down(segment.p_offset);
}

std::string hex_of(std::span<const std::byte> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (std::byte each : bytes) {
    text += digits[std::to_integer<std::size_t>(each >> 4)];
    text += digits[std::to_integer<std::size_t>(each & std::byte{15})];
  }
  return text;
}

// ELF notes: three words, the name, the description, each padded to the segment's alignment.
std::string find_build_id(std::span<const std::byte> notes, std::uint64_t alignment) {
  std::uint64_t align = alignment == 8 ? 8 : 4;
  auto padded = [align](std::uint64_t size) { return (size + align - 1) & ~(align - 1); };
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note{};
    std::memcpy(&note, notes.data(), sizeof note);
    // The description begins at a padded place of the whole note, as binutils has it.
    std::uint64_t description = padded(sizeof note + std::uint64_t{note.n_namesz});
    std::uint64_t end = description + note.n_descsz;
    if (end > notes.size()) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU && note.n_descsz > 0 &&
        note.n_descsz <= longest_build_id &&
        std::memcmp(notes.data() + sizeof note, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0)
      return hex_of(notes.subspan(description, note.n_descsz));
    notes = notes.subspan(std::min<std::uint64_t>(padded(end), notes.size()));
  }
  return {};
}

std::string read_build_id(const std::vector<Elf64_Phdr>& segments, const Module& module, Memory& memory) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE || !fits(segment)) continue;
    Address at(module.bias + segment.p_vaddr);
    if (!module.range.contains(at)) continue;
    std::vector<std::byte> notes(std::min<std::uint64_t>(segment.p_memsz, longest_notes));
    notes.resize(memory.read_up_to(at, notes));
    std::string id = find_build_id(notes, segment.p_align);
    if (!id.empty()) return id;
  }
  return {};
}

std::optional<Module> read_module(const Mapping& first, const std::vector<Mapping>& mappings,
                                  Memory& memory) {
  Result<Elf64_Ehdr> header = memory.read_value<Elf64_Ehdr>(first.range.begin);
  if (!header || !is_ours_to_read(*header)) return std::nullopt;
  std::uint64_t table_size = header->e_phnum * sizeof(Elf64_Phdr);
  if (header->e_phoff > first.range.size || table_size > first.range.size - header->e_phoff)
    return std::nullopt;
  std::vector<Elf64_Phdr> segments(header->e_phnum);
  if (!memory.read(first.range.begin + header->e_phoff, std::as_writable_bytes(std::span(segments))))
    return std::nullopt;

  auto holds_header = [](const Elf64_Phdr& s) {
    return s.p_type == PT_LOAD && fits(s) && page_down(s.p_offset) == 0;
  };
  auto lowest = std::find_if(segments.begin(), segments.end(), holds_header);
  if (lowest == segments.end()) return std::nullopt;
  Module module;
  module.bias = first.range.begin.value - page_down(lowest->p_vaddr);
  if (header->e_type == ET_EXEC && module.bias != 0) return std::nullopt;

  const Mapping* code = nullptr;
  const Mapping* data = nullptr;
  std::uint64_t begin = address_space;
  std::uint64_t end = 0;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
    if (!fits(segment) || !is_loaded(segment, module.bias, first, mappings)) return std::nullopt;
    const Mapping* found = find_mapping(mappings, Address(page_down(module.bias + segment.p_vaddr)));
    if (segment.p_flags & PF_X) {
      code = found;
    } else if (segment.p_flags & PF_W) {
      data = found;
    }
    begin = std::min(begin, segment.p_vaddr);
    end = std::max(end, segment.p_vaddr + segment.p_memsz);
  }
  // Where the linker gave each segment its own offset as address, a file mapped whole and executable lies
  // right as well, but as one mapping.
  if (!code || code == data) return std::nullopt;
  begin = page_down(begin);
  module.range = {Address(module.bias + begin), end - begin};

  module.path = first.path;
  module.deleted = first.deleted;
  module.first_mapping = first;
  module.elf_header.assign(reinterpret_cast<const char*>(&*header), sizeof *header);
  module.build_id = read_build_id(segments, module, memory);
  for (const Elf64_Phdr& segment : segments) {
    if (!fits(segment)) continue;
    Range place{Address(module.bias + segment.p_vaddr), segment.p_memsz};
    if (!module.range.contains(place.begin) || place.end() > module.range.end()) continue;
    if (segment.p_type == PT_GNU_EH_FRAME) module.eh_frame_hdr = place;
    if (segment.p_type == PT_DYNAMIC) module.dynamic = place;
  }
  return module;
}

}  // namespace

std::vector<Module> find_modules(const std::vector<Mapping>& mappings, Memory& memory) {
  std::set<FileKey> with_code;
  for (const Mapping& mapping : mappings) {
    if (mapping.executable) with_code.insert(file_key(mapping));
  }
  std::vector<const Mapping*> headers;
  std::vector<Range> pages;
  for (const Mapping& mapping : mappings) {
    // Files that are only data are not touched: a page of one may hang in FUSE or NFS.
    if (!may_hold_header(mapping) || !with_code.contains(file_key(mapping))) continue;
    headers.push_back(&mapping);
    pages.push_back({mapping.range.begin, std::min(mapping.range.size, page_size)});
  }
  memory.prefetch(pages);

  std::vector<Module> modules;
  for (const Mapping* first : headers) {
    if (std::optional<Module> module = read_module(*first, mappings, memory))
      modules.push_back(*std::move(module));
  }
  return modules;
}

}  // namespace pythreads::attach
