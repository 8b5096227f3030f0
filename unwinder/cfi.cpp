#include "unwinder/cfi.h"

#include <dwarf.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "unwinder/architecture.h"
#include "unwinder/byte_reader.h"

namespace pythreads::unwinder {

namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Memory;
using attach::Range;
using attach::Result;

constexpr std::uint64_t most_record_bytes = 1u << 20;  // CPython's largest FDE has 5 KiB
constexpr std::size_t most_remembered_rows = 64;
constexpr std::uint8_t encoding_of_the_sorted_table = 0x30 | 0x0b;  // datarel | sdata4: ld, lld, mold, gold

Error corrupt(std::string message) {
  return Error{ErrorCode::corrupt, std::move(message), {}};
}
Error unsupported(std::string message) {
  return Error{ErrorCode::unsupported, std::move(message), {}};
}

// A pointer encoded as DW_EH_PE_*; the low half says how it is stored, the high half what it is relative to.
std::optional<std::uint64_t> read_encoded(ByteReader& from, std::uint8_t encoding, Address data_base) {
  const Address stands_at = from.address();
  std::uint64_t value = 0;
  switch (encoding & 0x0fu) {
    case 0x00:
    case 0x04:
    case 0x0c:
      value = from.read<std::uint64_t>();
      break;
    case 0x01:
      value = from.read_uleb128();
      break;
    case 0x09:
      value = static_cast<std::uint64_t>(from.read_sleb128());
      break;
    case 0x02:
      value = from.read<std::uint16_t>();
      break;
    case 0x0a:
      value = static_cast<std::uint64_t>(std::int64_t{from.read<std::int16_t>()});
      break;
    case 0x03:
      value = from.read<std::uint32_t>();
      break;
    case 0x0b:
      value = static_cast<std::uint64_t>(std::int64_t{from.read<std::int32_t>()});
      break;
    default:
      return std::nullopt;
  }
  if (from.failed()) return std::nullopt;
  switch (encoding & 0x70u) {
    case 0x00:
      return value;
    case 0x10:
      return value + stands_at.value;
    case 0x30:
      return value + data_base.value;
    default:
      return std::nullopt;
  }
}

// One length-prefixed record of .eh_frame, without its length.
struct Record {
  Address address;          // of the length field
  Address content_address;  // of the first byte after the length
  std::vector<std::byte> content;
};

Result<Record> read_record(Memory& tables, Address at) {
  Record record;
  record.address = at;
  std::array<std::byte, 512> head{};
  const std::size_t got = tables.read_up_to(at, head);
  const std::span<const std::byte> begin_bytes = std::span<const std::byte>(head).first(got);
  ByteReader reader(begin_bytes, at);
  std::uint64_t length = reader.read<std::uint32_t>();
  if (length == 0xffffffffu) length = reader.read<std::uint64_t>();
  if (reader.failed()) return Error{ErrorCode::unreadable, "the unwind tables could not be read", {}};
  if (length == 0 || length > most_record_bytes)
    return corrupt("an unwind table entry of an impossible size");
  record.content_address = reader.address();
  record.content.resize(static_cast<std::size_t>(length));
  const std::size_t in_head = std::min(record.content.size(), got - reader.position());
  std::copy_n(head.begin() + static_cast<std::ptrdiff_t>(reader.position()), in_head, record.content.begin());
  if (in_head < record.content.size()) {
    Result<void> rest =
        tables.read(record.content_address + in_head, std::span(record.content).subspan(in_head));
    if (!rest) return std::move(rest).error().within("the unwind tables");
  }
  return record;
}

struct CommonEntry {
  std::uint64_t code_alignment = 1;
  std::int64_t data_alignment = 1;
  std::uint8_t pointer_encoding = 0;
  bool has_augmentation_data = false;
  bool signal_frame = false;
  std::vector<std::byte> instructions;
  Address instructions_address;
};

Result<CommonEntry> parse_common_entry(Memory& tables, Address at) {
  Result<Record> record = read_record(tables, at);
  if (!record) return std::move(record).error();
  ByteReader reader(record->content, record->content_address);
  if (reader.read<std::uint32_t>() != 0) return corrupt("an unwind table entry without its common part");
  const auto version = reader.read<std::uint8_t>();
  if (version != 1 && version != 3) return unsupported("unwind tables of an unknown version");

  CommonEntry entry;
  std::string augmentation;
  for (std::uint8_t c = reader.read<std::uint8_t>(); c != 0 && augmentation.size() < 16;
       c = reader.read<std::uint8_t>()) {
    augmentation.push_back(static_cast<char>(c));
  }
  if (!augmentation.empty() && augmentation.front() != 'z') {
    return unsupported("unwind tables with an unknown augmentation");
  }
  entry.code_alignment = reader.read_uleb128();
  entry.data_alignment = reader.read_sleb128();
  const std::uint64_t return_register = version == 1 ? reader.read<std::uint8_t>() : reader.read_uleb128();
  if (return_register != cfi_return_address) return corrupt("an unknown return address register");
  if (!augmentation.empty()) {
    entry.has_augmentation_data = true;
    const std::uint64_t size = reader.read_uleb128();
    const std::size_t begin = reader.position();
    for (std::size_t i = 1; i < augmentation.size(); ++i) {
      if (augmentation[i] == 'R') {
        entry.pointer_encoding = reader.read<std::uint8_t>();
      } else if (augmentation[i] == 'P') {
        const auto encoding = reader.read<std::uint8_t>();
        // What it points to is of no interest, and it may be indirect.
        if (!read_encoded(reader, encoding & 0x0fu, Address())) return corrupt("a corrupt augmentation");
      } else if (augmentation[i] == 'L') {
        reader.skip(1);
      } else if (augmentation[i] == 'S') {
        entry.signal_frame = true;
      } else if (!is_about_signing(augmentation[i])) {
        return unsupported("unwind tables with an unknown augmentation");
      }
    }
    const std::size_t used = reader.position() - begin;
    if (used > size) return corrupt("a corrupt augmentation");
    reader.skip(size - used);
  }
  if (reader.failed()) return corrupt("an unwind table entry cut short");
  entry.instructions_address = reader.address();
  entry.instructions.assign(record->content.begin() + static_cast<std::ptrdiff_t>(reader.position()),
                            record->content.end());
  return entry;
}

// Runs call frame instructions up to the row that holds `pc`.
class RowMachine {
 public:
  RowMachine(const CommonEntry& common, Address function_begin, Address pc)
      : common_(common), location_(function_begin), pc_(pc) {}

  // `initial`: the row that DW_CFA_restore goes back to. False: corrupt.
  bool run(ByteReader& code, const CfiRow& initial) {
    while (!code.at_end() && !passed_) {
      if (!step(code, initial)) return false;
    }
    return !code.failed();
  }

  CfiRow row;

 private:
  bool step(ByteReader& code, const CfiRow& initial) {
    const auto byte = code.read<std::uint8_t>();
    const std::uint64_t low = byte & 0x3fu;
    switch (byte & 0xc0u) {
      case DW_CFA_advance_loc:
        advance(low);
        return true;
      case DW_CFA_offset:
        set(low, CfiRule::offset, factored(code.read_uleb128()));
        return true;
      case DW_CFA_restore:
        restore(low, initial);
        return true;
      default:
        break;
    }
    switch (byte) {
      case DW_CFA_nop:
        return true;
      case DW_CFA_set_loc: {
        const std::optional<std::uint64_t> to = read_encoded(code, common_.pointer_encoding, Address());
        if (!to) return false;
        passed_ = *to > pc_.value;
        location_ = Address(*to);
        return true;
      }
      case DW_CFA_advance_loc1:
        advance(code.read<std::uint8_t>());
        return true;
      case DW_CFA_advance_loc2:
        advance(code.read<std::uint16_t>());
        return true;
      case DW_CFA_advance_loc4:
        advance(code.read<std::uint32_t>());
        return true;
      case DW_CFA_offset_extended: {
        const std::uint64_t number = code.read_uleb128();
        set(number, CfiRule::offset, factored(code.read_uleb128()));
        return true;
      }
      case DW_CFA_offset_extended_sf: {
        const std::uint64_t number = code.read_uleb128();
        set(number, CfiRule::offset, factored(static_cast<std::uint64_t>(code.read_sleb128())));
        return true;
      }
      case DW_CFA_GNU_negative_offset_extended: {
        const std::uint64_t number = code.read_uleb128();
        set(number, CfiRule::offset, factored(0 - code.read_uleb128()));
        return true;
      }
      case DW_CFA_val_offset: {
        const std::uint64_t number = code.read_uleb128();
        set(number, CfiRule::value_offset, factored(code.read_uleb128()));
        return true;
      }
      case DW_CFA_val_offset_sf: {
        const std::uint64_t number = code.read_uleb128();
        set(number, CfiRule::value_offset, factored(static_cast<std::uint64_t>(code.read_sleb128())));
        return true;
      }
      case DW_CFA_restore_extended:
        restore(code.read_uleb128(), initial);
        return true;
      case DW_CFA_undefined:
        set(code.read_uleb128(), CfiRule::undefined, 0);
        return true;
      case DW_CFA_same_value:
        set(code.read_uleb128(), CfiRule::same_value, 0);
        return true;
      case DW_CFA_register: {
        const std::uint64_t number = code.read_uleb128();
        const std::uint64_t other = code.read_uleb128();
        if (other >= cfi_register_count) return false;
        set(number, CfiRule::other_register, static_cast<std::int64_t>(other));
        return true;
      }
      case DW_CFA_remember_state:
        if (remembered_.size() >= most_remembered_rows) return false;
        remembered_.push_back(row);
        return true;
      case DW_CFA_restore_state:
        if (remembered_.empty()) return false;
        row = remembered_.back();
        remembered_.pop_back();
        return true;
      case DW_CFA_def_cfa: {
        const std::uint64_t number = code.read_uleb128();
        return set_cfa(number, static_cast<std::int64_t>(code.read_uleb128()));
      }
      case DW_CFA_def_cfa_sf: {
        const std::uint64_t number = code.read_uleb128();
        return set_cfa(number, factored(static_cast<std::uint64_t>(code.read_sleb128())));
      }
      case DW_CFA_def_cfa_register:
        return set_cfa(code.read_uleb128(), row.cfa_offset);
      case DW_CFA_def_cfa_offset:
        row.cfa_offset = static_cast<std::int64_t>(code.read_uleb128());
        return true;
      case DW_CFA_def_cfa_offset_sf:
        row.cfa_offset = factored(static_cast<std::uint64_t>(code.read_sleb128()));
        return true;
      case DW_CFA_def_cfa_expression:
        row.cfa_is_expression = true;
        row.cfa_expression = read_expression(code);
        return true;
      case DW_CFA_expression:
      case DW_CFA_val_expression: {
        const std::uint64_t number = code.read_uleb128();
        const CfiExpression expression = read_expression(code);
        if (number < cfi_register_count) {
          row.rules[number] = byte == DW_CFA_expression ? CfiRule::expression : CfiRule::value_expression;
          row.expressions[number] = expression;
        }
        return true;
      }
      case DW_CFA_GNU_args_size:
        code.read_uleb128();
        return true;
      default:
        return is_about_signing(byte);
    }
  }

  void advance(std::uint64_t by) {
    const Address next = location_ + by * common_.code_alignment;
    passed_ = next > pc_;
    location_ = next;
  }

  std::int64_t factored(std::uint64_t value) const {
    return static_cast<std::int64_t>(value * static_cast<std::uint64_t>(common_.data_alignment));
  }

  // Registers beyond the general ones (vector registers of functions with another convention) are of no use
  // to a walk.
  void set(std::uint64_t number, CfiRule rule, std::int64_t value) {
    if (number >= cfi_register_count) return;
    row.rules[number] = rule;
    row.values[number] = value;
  }

  void restore(std::uint64_t number, const CfiRow& initial) {
    if (number >= cfi_register_count) return;
    row.rules[number] = initial.rules[number];
    row.values[number] = initial.values[number];
    row.expressions[number] = initial.expressions[number];
  }

  bool set_cfa(std::uint64_t number, std::int64_t offset) {
    if (number >= cfi_register_count || number == cfi_pc) return false;
    row.cfa_is_expression = false;
    row.cfa_register = static_cast<std::uint8_t>(number);
    row.cfa_offset = offset;
    return true;
  }

  static CfiExpression read_expression(ByteReader& code) {
    CfiExpression expression;
    const std::uint64_t size = code.read_uleb128();
    expression.at = code.address();
    code.skip(size);
    if (!code.failed()) expression.size = static_cast<std::uint32_t>(size);
    return expression;
  }

  const CommonEntry& common_;
  Address location_;
  Address pc_;
  bool passed_ = false;
  std::vector<CfiRow> remembered_;
};

// The address of the FDE that may cover `pc`: the last one of the sorted table that begins at or before it.
Result<Address> search_table(Memory& tables, Range eh_frame_hdr, Address pc) {
  std::array<std::byte, 32> head{};
  const std::size_t got = tables.read_up_to(
      eh_frame_hdr.begin,
      std::span(head).first(static_cast<std::size_t>(std::min<std::uint64_t>(32, eh_frame_hdr.size))));
  const std::span<const std::byte> begin_bytes = std::span<const std::byte>(head).first(got);
  ByteReader reader(begin_bytes, eh_frame_hdr.begin);
  const auto version = reader.read<std::uint8_t>();
  const auto frame_encoding = reader.read<std::uint8_t>();
  const auto count_encoding = reader.read<std::uint8_t>();
  const auto table_encoding = reader.read<std::uint8_t>();
  if (reader.failed()) return Error{ErrorCode::unreadable, "the unwind tables could not be read", {}};
  if (version != 1) return unsupported("an unwind table header of an unknown version");
  if (table_encoding != encoding_of_the_sorted_table) return unsupported("unwind tables that are not sorted");
  if (!read_encoded(reader, frame_encoding, eh_frame_hdr.begin))
    return corrupt("a corrupt unwind table header");
  const std::optional<std::uint64_t> count = read_encoded(reader, count_encoding, eh_frame_hdr.begin);
  if (!count) return corrupt("a corrupt unwind table header");

  struct Entry {
    std::int32_t function;
    std::int32_t record;
  };
  const Address table = reader.address();
  const std::uint64_t room = (eh_frame_hdr.size - reader.position()) / sizeof(Entry);
  std::uint64_t low = 0;
  std::uint64_t high = std::min(*count, room);
  const std::int64_t wanted = static_cast<std::int64_t>(pc - eh_frame_hdr.begin);
  // Halve it until what is left is one page.
  constexpr std::uint64_t block = 512;
  while (high - low > block) {
    const std::uint64_t middle = low + (high - low) / 2;
    Result<Entry> entry = tables.read_value<Entry>(table + middle * sizeof(Entry));
    if (!entry) return std::move(entry).error().within("the unwind tables");
    if (entry->function <= wanted) {
      low = middle;
    } else {
      high = middle;
    }
  }
  std::array<Entry, block> entries{};
  const std::span<Entry> left = std::span(entries).first(static_cast<std::size_t>(high - low));
  Result<void> done = tables.read(table + low * sizeof(Entry), std::as_writable_bytes(left));
  if (!done) return std::move(done).error().within("the unwind tables");
  const auto after =
      std::upper_bound(left.begin(), left.end(), wanted,
                       [](std::int64_t at, const Entry& entry) { return at < entry.function; });
  if (after == left.begin()) return unsupported("no unwind table entry covers the address");
  return eh_frame_hdr.begin + static_cast<std::uint64_t>(std::int64_t{std::prev(after)->record});
}

}  // namespace

Result<CfiRow> find_cfi_row(Memory& tables, Range eh_frame_hdr, Address pc) {
  if (eh_frame_hdr.size == 0) return unsupported("the module has no unwind tables");
  Result<Address> at = search_table(tables, eh_frame_hdr, pc);
  if (!at) return std::move(at).error();
  Result<Record> record = read_record(tables, *at);
  if (!record) return std::move(record).error();

  ByteReader reader(record->content, record->content_address);
  const auto back = reader.read<std::uint32_t>();
  if (reader.failed() || back == 0) return corrupt("an unwind table entry without its common part");
  Result<CommonEntry> common = parse_common_entry(tables, record->content_address - back);
  if (!common) return std::move(common).error();

  const std::optional<std::uint64_t> begin =
      read_encoded(reader, common->pointer_encoding, eh_frame_hdr.begin);
  const std::optional<std::uint64_t> size =
      read_encoded(reader, common->pointer_encoding & 0x0fu, eh_frame_hdr.begin);
  if (!begin || !size) return corrupt("an unwind table entry cut short");
  const Range function{Address(*begin), *size};
  if (!function.contains(pc)) return unsupported("no unwind table entry covers the address");
  if (common->has_augmentation_data) reader.skip(reader.read_uleb128());
  if (reader.failed()) return corrupt("an unwind table entry cut short");

  RowMachine machine(*common, function.begin, pc);
  ByteReader initial_code(common->instructions, common->instructions_address);
  if (!machine.run(initial_code, CfiRow{})) return corrupt("corrupt call frame instructions");
  const CfiRow initial = machine.row;
  if (!machine.run(reader, initial)) return corrupt("corrupt call frame instructions");
  CfiRow row = machine.row;
  row.signal_frame = common->signal_frame;
  row.function = function;
  return row;
}

}  // namespace pythreads::unwinder
