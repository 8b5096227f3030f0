// read_symbols of modules.h. The symbol tables are scanned as raw arrays, the global ones first, and only
// until every name was seen.
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "attach/modules.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t largest_table = std::size_t{256} << 20;
constexpr std::size_t largest_notes = std::size_t{64} << 10;
constexpr std::size_t longest_build_id = 64;

struct EndElf {
  void operator()(Elf* elf) const { ::elf_end(elf); }
};
using ElfFile = std::unique_ptr<Elf, EndElf>;

Error corrupt(const Module& module, const std::string& why) {
  return {ErrorCode::corrupt, module.path + ": " + why, {}};
}

std::string libelf_reason() {
  const char* message = ::elf_errmsg(-1);
  return message ? message : "it does not parse as ELF";
}

std::string hex_of(std::span<const unsigned char> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned char each : bytes) {
    text += digits[each >> 4U];
    text += digits[each & 15U];
  }
  return text;
}

std::string build_id_of(Elf* elf, std::size_t segments) {
  for (std::size_t i = 0; i < segments; ++i) {
    GElf_Phdr segment{};
    if (!::gelf_getphdr(elf, static_cast<int>(i), &segment) || segment.p_type != PT_NOTE ||
        segment.p_filesz > largest_notes)
      continue;
    Elf_Data* data =
        ::elf_getdata_rawchunk(elf, static_cast<std::int64_t>(segment.p_offset), segment.p_filesz,
                               segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
    if (!data) continue;
    const auto* bytes = static_cast<const unsigned char*>(data->d_buf);
    GElf_Nhdr note{};
    std::size_t name = 0;
    std::size_t description = 0;
    for (std::size_t at = 0; (at = ::gelf_getnote(data, at, &note, &name, &description)) > 0;) {
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof ELF_NOTE_GNU &&
          note.n_descsz <= longest_build_id &&
          std::memcmp(bytes + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0)
        return hex_of({bytes + description, note.n_descsz});
    }
  }
  return {};
}

// The names that are looked for; the first answer to each stays.
class Wanted {
 public:
  explicit Wanted(const std::vector<std::string_view>& names) : names_(names), found_(names.size()) {
    left_ = names.size();
    for (std::string_view name : names) starts_[first_of(name)] = true;
  }

  bool all_found() const { return left_ == 0; }

  // `text` is at least one byte long and ends with a zero somewhere.
  void offer(const char* text, const Symbol& symbol) {
    if (!starts_[static_cast<unsigned char>(*text)]) return;
    std::string_view name(text);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (found_[i] || names_[i] != name) continue;
      found_[i] = symbol;
      --left_;
    }
  }

  std::vector<std::optional<Symbol>> take() && { return std::move(found_); }

 private:
  static unsigned char first_of(std::string_view name) {
    return name.empty() ? 0 : static_cast<unsigned char>(name.front());
  }

  const std::vector<std::string_view>& names_;
  std::vector<std::optional<Symbol>> found_;
  std::array<bool, 256> starts_{};
  std::size_t left_ = 0;
};

bool has_address(const Elf64_Sym& symbol) {
  unsigned type = ELF64_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS && symbol.st_shndx != SHN_COMMON &&
         (type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC || type == STT_GNU_IFUNC);
}

Result<void> scan_table(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, const Module& module,
                        Wanted& wanted) {
  Elf_Scn* names_section = ::elf_getscn(elf, header.sh_link);
  GElf_Shdr names_header{};
  if (!names_section || !::gelf_getshdr(names_section, &names_header) || names_header.sh_type != SHT_STRTAB)
    return corrupt(module, "its symbol table has no names");
  if (header.sh_size > largest_table || names_header.sh_size > largest_table)
    return corrupt(module, "its symbol table is too large to be true");
  Elf_Data* table = ::elf_getdata(section, nullptr);
  Elf_Data* strings = ::elf_getdata(names_section, nullptr);
  if (!table || !strings) return corrupt(module, "its symbol table: " + libelf_reason());
  // A file that is only debug information keeps the headers and has no bytes.
  if (!table->d_buf || !strings->d_buf) return {};
  const auto* symbols = static_cast<const char*>(table->d_buf);
  const auto* text = static_cast<const char*>(strings->d_buf);
  // No name may run out of the table.
  std::size_t text_size = strings->d_size;
  while (text_size > 0 && text[text_size - 1] != '\0') --text_size;

  std::size_t count = table->d_size / sizeof(Elf64_Sym);
  std::size_t first_global = header.sh_info < count ? header.sh_info : 0;
  auto scan = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to && !wanted.all_found(); ++i) {
      Elf64_Sym symbol{};
      std::memcpy(&symbol, symbols + i * sizeof symbol, sizeof symbol);
      if (!has_address(symbol) || symbol.st_name >= text_size) continue;
      Address address(module.bias + symbol.st_value);
      if (module.range.contains(address)) wanted.offer(text + symbol.st_name, {address, symbol.st_size});
    }
  };
  scan(first_global, count);
  scan(0, first_global);
  return {};
}

}  // namespace

Result<ModuleSymbols> read_symbols(const Module& module, TargetFiles& files,
                                   const std::vector<std::string_view>& names,
                                   const std::vector<std::string_view>& section_names) {
  Result<ScopedFd> file = files.open_mapping(module.first_mapping);
  if (!file) return std::move(file).error();

  Elf64_Ehdr header{};
  if (::pread(file->get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    return corrupt(module, "the file is no 64-bit ELF file");
  // Extended numbering: libelf would allocate by a number that the file chose.
  if (header.e_shoff != 0 && header.e_shnum == 0)
    return corrupt(module, "it has too many sections to be true");

  // A file cut short would look like one without symbols.
  struct stat seen {};
  std::uint64_t table_size = std::uint64_t{header.e_shnum} * header.e_shentsize;
  if (::fstat(file->get(), &seen) != 0 || seen.st_size < 0 ||
      header.e_shoff > static_cast<std::uint64_t>(seen.st_size) ||
      table_size > static_cast<std::uint64_t>(seen.st_size) - header.e_shoff)
    return corrupt(module, "the file is cut short");

  ::elf_version(EV_CURRENT);
  ElfFile elf(::elf_begin(file->get(), ELF_C_READ, nullptr));
  if (!elf || ::elf_kind(elf.get()) != ELF_K_ELF) return corrupt(module, libelf_reason());

  // The numbers of the file are not asked: overlayfs and btrfs show others in maps than in stat(2).
  std::string id = build_id_of(elf.get(), header.e_phnum);
  std::string_view header_bytes(reinterpret_cast<const char*>(&header), sizeof header);
  if (!module.build_id.empty() && id != module.build_id)
    return corrupt(module, "the file is not the one that is mapped (build id " +
                               (id.empty() ? "missing" : id) + ", mapped " + module.build_id + ")");
  if (module.build_id.empty() && header_bytes != module.elf_header)
    return corrupt(module, "the file is not the one that is mapped (another ELF header)");

  ModuleSymbols symbols;
  symbols.sections.resize(section_names.size());
  Wanted wanted(names);
  std::size_t name_table = 0;
  bool has_section_names = ::elf_getshdrstrndx(elf.get(), &name_table) == 0;
  std::array<Elf_Scn*, 2> tables{};  // .dynsym, .symtab
  for (Elf_Scn* section = nullptr; (section = ::elf_nextscn(elf.get(), section));) {
    GElf_Shdr section_header{};
    if (!::gelf_getshdr(section, &section_header)) return corrupt(module, libelf_reason());
    if (section_header.sh_type == SHT_DYNSYM) tables[0] = section;
    if (section_header.sh_type == SHT_SYMTAB) tables[1] = section;
    if (!has_section_names || !(section_header.sh_flags & SHF_ALLOC) || section_header.sh_size == 0) continue;
    const char* name = ::elf_strptr(elf.get(), name_table, section_header.sh_name);
    Range range{Address(module.bias + section_header.sh_addr), section_header.sh_size};
    if (!name || !module.range.contains(range.begin) || range.size > module.range.end() - range.begin)
      continue;
    for (std::size_t i = 0; i < section_names.size(); ++i) {
      if (!symbols.sections[i] && section_names[i] == name) symbols.sections[i] = range;
    }
  }
  symbols.has_symtab = tables[1] != nullptr;
  for (Elf_Scn* table : tables) {
    GElf_Shdr table_header{};
    if (!table || wanted.all_found() || !::gelf_getshdr(table, &table_header)) continue;
    Result<void> scanned = scan_table(elf.get(), table, table_header, module, wanted);
    if (!scanned) return std::move(scanned).error();
  }
  symbols.found = std::move(wanted).take();
  return symbols;
}

}  // namespace pythreads::attach
