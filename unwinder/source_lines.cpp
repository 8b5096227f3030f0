#include "unwinder/source_lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>

namespace pythreads::unwinder {

namespace {

constexpr std::size_t most_units = 256;
constexpr std::size_t most_depth = 128;
constexpr std::size_t most_ranges = 1u << 16;   // of one unit
constexpr std::size_t most_entries = 1u << 20;  // looked at in one unit

using ElfHandle = std::unique_ptr<Elf, int (*)(Elf*)>;
using DwarfHandle = std::unique_ptr<Dwarf, int (*)(Dwarf*)>;

std::string text_or_empty(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

std::optional<std::uint64_t> number_of(Dwarf_Die& die, unsigned name) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(&die, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0) {
    return std::nullopt;
  }
  return value;
}

// What the linker knows it by (C++, Rust), else its name.
std::string function_name(Dwarf_Die& die) {
  for (const unsigned name :
       {unsigned{DW_AT_linkage_name}, unsigned{DW_AT_MIPS_linkage_name}, unsigned{DW_AT_name}}) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&die, name, &attribute) == nullptr) continue;
    std::string text = text_or_empty(dwarf_formstring(&attribute));
    if (!text.empty()) return text;
  }
  return {};
}

// One unit in libdw's hands.
class Unit {
 public:
  // Without its lines, which `read_lines` brings.
  static std::optional<Unit> open(DebugImage& image) {
    const std::span<std::byte> bytes = image.bytes();
    elf_version(EV_CURRENT);
    ElfHandle elf(elf_memory(reinterpret_cast<char*>(bytes.data()), bytes.size()), elf_end);
    if (!elf) return std::nullopt;
    DwarfHandle dwarf(dwarf_begin_elf(elf.get(), DWARF_C_READ, nullptr), dwarf_end);
    if (!dwarf) return std::nullopt;
    Unit unit(std::move(elf), std::move(dwarf));
    Dwarf_CU* none = nullptr;
    Dwarf_CU* found = nullptr;
    if (dwarf_get_units(unit.dwarf_.get(), none, &found, nullptr, nullptr, &unit.root_, nullptr) != 0) {
      return std::nullopt;
    }
    return unit;
  }

  bool read_lines(DebugImage& image) {
    const std::optional<std::uint64_t> lines = number_of(root_, DW_AT_stmt_list);
    return lines && image.load_lines(*lines);
  }

  // What code it has, as it says itself.
  void append_ranges(std::uint64_t unit, std::vector<DebugImage::UnitRange>& ranges) {
    Dwarf_Addr base = 0, begin = 0, end = 0;
    std::ptrdiff_t at = 0;
    for (std::size_t i = 0; i < most_ranges; ++i) {
      at = dwarf_ranges(&root_, at, &base, &begin, &end);
      if (at <= 0) return;
      if (begin < end) ranges.push_back({begin, end - begin, unit});
    }
  }

  void fill(SourcePlace& place) {
    Dwarf_Line* line = dwarf_getsrc_die(&root_, place.address);
    int number = 0;
    if (line != nullptr && dwarf_lineno(line, &number) == 0) {
      place.line = std::max(number, 0);  // a line program may count below it
      place.file = text_or_empty(dwarf_linesrc(line, nullptr, nullptr));
    }
    std::vector<Dwarf_Die> calls = find_inlined(place.address);
    // The line is that of the innermost call; each call says where in its caller it stands.
    for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
      std::string name = function_name(*call);
      const std::optional<std::uint64_t> caller_line = number_of(*call, DW_AT_call_line);
      std::string caller_file = call_file(*call);
      // Its name is in another unit: then the caller's place is all that can be said of it.
      if (!name.empty()) place.inlined.push_back({std::move(name), place.file, place.line});
      place.file = std::move(caller_file);
      place.line = caller_line && *caller_line <= INT32_MAX ? static_cast<int>(*caller_line) : 0;
    }
  }

 private:
  Unit(ElfHandle elf, DwarfHandle dwarf) : elf_(std::move(elf)), dwarf_(std::move(dwarf)) {}

  std::string call_file(Dwarf_Die& call) {
    const std::optional<std::uint64_t> number = number_of(call, DW_AT_call_file);
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    if (!number || dwarf_getsrcfiles(&root_, &files, &count) != 0 || *number >= count) return {};
    return text_or_empty(dwarf_filesrc(files, static_cast<std::size_t>(*number), nullptr, nullptr));
  }

  // The inlined calls around `address`, outermost first.
  std::vector<Dwarf_Die> find_inlined(std::uint64_t address) {
    std::vector<Dwarf_Die> calls;
    std::vector<Dwarf_Die> open_scopes;  // namespaces and types that functions may stand in
    Dwarf_Die entry;
    if (dwarf_child(&root_, &entry) != 0) return calls;
    std::size_t looked_at = 0;
    std::size_t depth = 0;
    bool inside_function = false;
    while (looked_at++ < most_entries) {
      const int tag = dwarf_tag(&entry);
      const bool is_code = tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
                           tag == DW_TAG_inlined_subroutine || tag == DW_TAG_try_block ||
                           tag == DW_TAG_catch_block;
      Dwarf_Die child;
      if (is_code && dwarf_haspc(&entry, address) > 0) {
        inside_function = true;
        if (tag == DW_TAG_inlined_subroutine) calls.push_back(entry);
        if (++depth > most_depth || dwarf_child(&entry, &child) != 0) return calls;
        entry = child;
        continue;
      }
      const bool may_hold_functions = tag == DW_TAG_namespace || tag == DW_TAG_structure_type ||
                                      tag == DW_TAG_class_type || tag == DW_TAG_union_type;
      if (!inside_function && may_hold_functions && open_scopes.size() < most_entries) {
        open_scopes.push_back(entry);
      }
      Dwarf_Die next;
      if (dwarf_siblingof(&entry, &next) == 0) {
        entry = next;
        continue;
      }
      if (inside_function) return calls;
      bool found = false;
      while (!open_scopes.empty() && !found) {
        Dwarf_Die scope = open_scopes.back();
        open_scopes.pop_back();
        found = dwarf_child(&scope, &entry) == 0;
      }
      if (!found) return calls;
    }
    return calls;
  }

  ElfHandle elf_;
  DwarfHandle dwarf_;
  Dwarf_Die root_{};
};

void read_own_ranges(DebugImage& image) {
  std::vector<DebugImage::UnitRange> ranges;
  for (const std::uint64_t offset : image.take_units_without_ranges()) {
    if (!image.load_unit(offset)) continue;
    std::optional<Unit> unit = Unit::open(image);
    if (unit) unit->append_ranges(offset, ranges);
  }
  image.add_ranges(ranges);
}

}  // namespace

void find_source_places(DebugImage& image, std::span<SourcePlace> wanted) {
  const bool all_known = std::all_of(wanted.begin(), wanted.end(), [&](const SourcePlace& place) {
    return image.find_unit(place.address).has_value();
  });
  if (!all_known) read_own_ranges(image);
  std::map<std::uint64_t, std::vector<SourcePlace*>> by_unit;
  for (SourcePlace& place : wanted) {
    const std::optional<std::uint64_t> unit = image.find_unit(place.address);
    if (unit) by_unit[*unit].push_back(&place);
  }
  std::size_t count = 0;
  for (const auto& [offset, places] : by_unit) {
    if (++count > most_units) return;
    if (!image.load_unit(offset)) continue;
    std::optional<Unit> unit = Unit::open(image);
    if (!unit || !unit->read_lines(image)) continue;
    for (SourcePlace* place : places) unit->fill(*place);
  }
}

}  // namespace pythreads::unwinder
