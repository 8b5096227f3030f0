#include "unwinder/symbol_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <vector>

namespace pythreads::unwinder {

namespace {

constexpr std::size_t symbols_in_a_piece = 2048;
constexpr std::size_t longest_name = 16u << 10;

// Smaller is better.
int binding_rank(const Elf64_Sym& symbol) {
  switch (ELF64_ST_BIND(symbol.st_info)) {
    case STB_GLOBAL:
      return 0;
    case STB_WEAK:
      return 1;
    default:
      return 2;
  }
}

bool names_code(const Elf64_Sym& symbol) {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  return (type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC) && symbol.st_size != 0 &&
         symbol.st_shndx != SHN_UNDEF && symbol.st_value + symbol.st_size > symbol.st_value;
}

auto name_rank(const std::string& name) {
  const std::size_t first = name.find_first_not_of('_');
  return std::tuple(first == std::string::npos ? name.size() : first, std::string_view(name));
}

class NameTable {
 public:
  NameTable(const ElfFile& elf, const Elf64_Shdr& header) : elf_(elf), header_(header) {}

  std::string name_of(const Elf64_Sym& symbol) const {
    if (symbol.st_name >= header_.sh_size || header_.sh_offset + symbol.st_name < header_.sh_offset)
      return {};
    const std::uint64_t room = header_.sh_size - symbol.st_name;
    std::string name =
        elf_.read_string_at(header_.sh_offset + symbol.st_name,
                            static_cast<std::size_t>(std::min<std::uint64_t>(room, longest_name)));
    // .symtab spells versioned symbols name@VERSION or name@@VERSION.
    const std::size_t version = name.find('@');
    if (version != std::string::npos && version != 0) name.resize(version);
    return name;
  }

 private:
  const ElfFile& elf_;
  const Elf64_Shdr& header_;
};

struct Candidate {
  Elf64_Sym symbol{};
  bool set = false;
};

bool is_better(const Elf64_Sym& symbol, const Elf64_Sym& than, const NameTable& names) {
  if (symbol.st_value != than.st_value) return symbol.st_value > than.st_value;
  const int rank = binding_rank(symbol);
  const int other_rank = binding_rank(than);
  if (rank != other_rank) return rank < other_rank;
  const std::string name = names.name_of(symbol);
  const std::string other = names.name_of(than);
  if (name.empty() || other.empty()) return other.empty();
  return name_rank(name) < name_rank(other);
}

}  // namespace

void find_symbols(ElfFile& elf, std::uint32_t type, std::span<WantedSymbol> wanted) {
  const ElfFile::Section* table = elf.find_section(type);
  if (table == nullptr || table->header.sh_entsize != sizeof(Elf64_Sym)) return;
  if (table->header.sh_link >= elf.sections().size()) return;
  const ElfFile::Section& strings = elf.sections()[table->header.sh_link];
  if (strings.header.sh_type != SHT_STRTAB) return;
  const NameTable names(elf, strings.header);

  std::vector<Candidate> candidates(wanted.size());
  std::vector<Elf64_Sym> piece(symbols_in_a_piece);
  const std::uint64_t end = table->header.sh_offset + table->header.sh_size;
  if (end < table->header.sh_offset) return;
  for (std::uint64_t at = table->header.sh_offset; at < end;) {
    const std::uint64_t left = (end - at) / sizeof(Elf64_Sym);
    const std::span<Elf64_Sym> into =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
    const std::size_t got = elf.read_at(at, std::as_writable_bytes(into)) / sizeof(Elf64_Sym);
    if (got == 0) break;
    for (const Elf64_Sym& symbol : into.first(got)) {
      if (!names_code(symbol)) continue;
      auto hit =
          std::lower_bound(wanted.begin(), wanted.end(), symbol.st_value,
                           [](const WantedSymbol& one, std::uint64_t value) { return one.address < value; });
      for (; hit != wanted.end() && hit->address - symbol.st_value < symbol.st_size; ++hit) {
        if (hit->found) continue;
        Candidate& best = candidates[static_cast<std::size_t>(hit - wanted.begin())];
        if (best.set && !is_better(symbol, best.symbol, names)) continue;
        best.symbol = symbol;
        best.set = true;
      }
    }
    at += got * sizeof(Elf64_Sym);
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!candidates[i].set) continue;
    std::string name = names.name_of(candidates[i].symbol);
    if (name.empty()) continue;
    wanted[i].found = true;
    wanted[i].name = std::move(name);
    wanted[i].value = candidates[i].symbol.st_value;
  }
}

}  // namespace pythreads::unwinder
