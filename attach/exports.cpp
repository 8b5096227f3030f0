#include "attach/exports.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace pythreads::attach {
namespace {

constexpr std::size_t most_dynamic_entries = 512;  // real ones have 20 to 40
constexpr std::uint32_t longest_chain = 4096;      // symbols with one hash bucket; real ones have a few
constexpr std::size_t longest_name = 256;
constexpr std::uint64_t hash_table_begin = 512;  // its head, and all of a small library's

// Where the tables are, in the target.
struct Tables {
  Address symbols, names, gnu_hash, hash;
  std::uint64_t names_size = 0;
};

std::optional<Tables> read_tables(const Module& module, Memory& memory) {
  std::vector<Elf64_Dyn> entries(
      std::min<std::uint64_t>(module.dynamic.size / sizeof(Elf64_Dyn), most_dynamic_entries));
  const std::size_t got = memory.read_up_to(module.dynamic.begin, std::as_writable_bytes(std::span(entries)));
  entries.resize(got / sizeof(Elf64_Dyn));
  Tables tables;
  const auto place = [&](std::uint64_t value) {
    if (module.range.contains(Address(value))) return Address(value);
    const Address moved(module.bias + value);
    return module.range.contains(moved) ? moved : Address();
  };
  for (const Elf64_Dyn& entry : entries) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_SYMTAB) tables.symbols = place(entry.d_un.d_ptr);
    if (entry.d_tag == DT_STRTAB) tables.names = place(entry.d_un.d_ptr);
    if (entry.d_tag == DT_STRSZ) tables.names_size = entry.d_un.d_val;
    if (entry.d_tag == DT_GNU_HASH) tables.gnu_hash = place(entry.d_un.d_ptr);
    if (entry.d_tag == DT_HASH) tables.hash = place(entry.d_un.d_ptr);
  }
  if (tables.symbols.is_null() || tables.names.is_null()) return std::nullopt;
  return tables;
}

bool has_address(const Elf64_Sym& symbol) {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS && symbol.st_shndx != SHN_COMMON &&
         (type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC || type == STT_GNU_IFUNC);
}

class Exports {
 public:
  Exports(const Module& module, Memory& memory, const Tables& tables)
      : module_(module), memory_(memory), tables_(tables) {}

  std::optional<Symbol> find(std::string_view name) {
    if (name.empty() || name.size() > longest_name) return std::nullopt;
    return tables_.gnu_hash.is_null() ? find_by_hash(name) : find_by_gnu_hash(name);
  }

 private:
  // nbuckets, symoffset, bloom_size, bloom_shift; the filter; the buckets; one hash a symbol, whose lowest
  // bit ends the chain.
  std::optional<Symbol> find_by_gnu_hash(std::string_view name) {
    std::uint32_t hash = 5381;
    for (const char each : name) hash = hash * 33 + static_cast<unsigned char>(each);
    const std::optional<std::uint32_t> buckets = word(tables_.gnu_hash, 0);
    const std::optional<std::uint32_t> first = word(tables_.gnu_hash, 1);
    const std::optional<std::uint32_t> filter = word(tables_.gnu_hash, 2);
    if (!buckets || !first || !filter || *buckets == 0) return std::nullopt;
    const Address bucket_table = tables_.gnu_hash + 16 + std::uint64_t{*filter} * 8;
    const std::optional<std::uint32_t> begin = word(bucket_table, hash % *buckets);
    if (!begin || *begin < *first) return std::nullopt;
    const Address chain = bucket_table + std::uint64_t{*buckets} * 4;
    for (std::uint32_t i = 0; i < longest_chain; ++i) {
      const std::uint32_t index = *begin + i;
      const std::optional<std::uint32_t> told = word(chain, index - *first);
      if (!told) return std::nullopt;
      if ((*told | 1U) == (hash | 1U)) {
        if (std::optional<Symbol> symbol = symbol_at(index, name)) return symbol;
      }
      if ((*told & 1U) != 0) break;
    }
    return std::nullopt;
  }

  // nbucket, nchain; the buckets; one next index a symbol.
  std::optional<Symbol> find_by_hash(std::string_view name) {
    if (tables_.hash.is_null()) return std::nullopt;
    std::uint32_t hash = 0;
    for (const char each : name) {
      hash = (hash << 4U) + static_cast<unsigned char>(each);
      const std::uint32_t high = hash & 0xf0000000U;
      hash ^= high >> 24U;
      hash &= ~high;
    }
    const std::optional<std::uint32_t> buckets = word(tables_.hash, 0);
    if (!buckets || *buckets == 0) return std::nullopt;
    std::optional<std::uint32_t> index = word(tables_.hash, 2 + hash % *buckets);
    for (std::uint32_t i = 0; index && *index != 0 && i < longest_chain; ++i) {
      if (std::optional<Symbol> symbol = symbol_at(*index, name)) return symbol;
      index = word(tables_.hash + 8 + std::uint64_t{*buckets} * 4, *index);
    }
    return std::nullopt;
  }

  std::optional<std::uint32_t> word(Address table, std::uint64_t index) {
    const Address at = table + index * 4;
    if (!module_.range.contains(at)) return std::nullopt;
    const Result<std::uint32_t> value = memory_.read_value<std::uint32_t>(at);
    if (!value) return std::nullopt;
    return *value;
  }

  std::optional<Symbol> symbol_at(std::uint32_t index, std::string_view name) {
    const Address at = tables_.symbols + std::uint64_t{index} * sizeof(Elf64_Sym);
    if (!module_.range.contains(at)) return std::nullopt;
    const Result<Elf64_Sym> symbol = memory_.read_value<Elf64_Sym>(at);
    if (!symbol || !has_address(*symbol)) return std::nullopt;
    if (symbol->st_name >= tables_.names_size || tables_.names_size - symbol->st_name <= name.size())
      return std::nullopt;
    std::string told(name.size() + 1, '\1');
    if (!memory_.read(tables_.names + symbol->st_name, std::as_writable_bytes(std::span(told))))
      return std::nullopt;
    if (told.back() != '\0' || std::string_view(told).substr(0, name.size()) != name) return std::nullopt;
    const Address address(module_.bias + symbol->st_value);
    if (!module_.range.contains(address)) return std::nullopt;
    return Symbol{address, symbol->st_size};
  }

  const Module& module_;
  Memory& memory_;
  const Tables& tables_;
};

}  // namespace

void prefetch_exports(const std::vector<const Module*>& modules, Memory& memory) {
  std::vector<Range> wave;
  for (const Module* module : modules) {
    wave.push_back({module->dynamic.begin,
                    std::min<std::uint64_t>(module->dynamic.size, most_dynamic_entries * sizeof(Elf64_Dyn))});
  }
  memory.prefetch(wave);
  wave.clear();
  for (const Module* module : modules) {
    const std::optional<Tables> tables = read_tables(*module, memory);
    if (!tables) continue;
    for (const Address table : {tables->gnu_hash, tables->hash}) {
      if (!table.is_null()) wave.push_back({table, hash_table_begin});
    }
  }
  memory.prefetch(wave);
}

std::vector<std::optional<Symbol>> find_exports(const Module& module, Memory& memory,
                                                const std::vector<std::string_view>& names) {
  std::vector<std::optional<Symbol>> found(names.size());
  const std::optional<Tables> tables = read_tables(module, memory);
  if (!tables) return found;
  Exports exports(module, memory, *tables);
  for (std::size_t i = 0; i < names.size(); ++i) found[i] = exports.find(names[i]);
  return found;
}

}  // namespace pythreads::attach
