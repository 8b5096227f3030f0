#include "pyframes/instrumentation.h"

#include <memory>
#include <span>
#include <utility>

#include "pyframes/code.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t unit_size = 2;
constexpr std::size_t max_units = 1 << 17;

// Never a kept opcode: not set, and the mark that a line begins there (3.12).
constexpr std::uint8_t unset = 0, line_marker = 255;

// An opcode and a line delta of 1 to 4 bytes.
constexpr std::uint8_t least_entry = 2, most_entry = 5;

bool is_event(Op op) {
  return op == Op::line_event || op == Op::instruction_event;
}

}  // namespace

std::optional<std::uint8_t> Instrumentation::original(std::uint8_t opcode, std::size_t unit) {
  if (!is_event(table_.kind(opcode))) return opcode;
  if (unit < first_ || unit - first_ >= count_) return std::nullopt;
  constexpr int deepest = 2;  // an instruction event below a line event
  for (int i = 0; i < deepest; ++i) {
    const Kept& kept = table_.kind(opcode) == Op::line_event ? lines() : per_instruction();
    const std::size_t at = (unit - first_) * kept.entry;
    if (at >= kept.bytes.size()) return std::nullopt;
    opcode = kept.bytes[at];
    // Executors are taken out before anything is instrumented.
    if (opcode == unset || opcode == line_marker || table_.kind(opcode) == Op::executor) return std::nullopt;
    if (!is_event(table_.kind(opcode))) return opcode;
  }
  return std::nullopt;
}

const Instrumentation::Kept& Instrumentation::lines() {
  if (lines_) return *lines_;
  lines_ = Kept{};
  const auto& fields = reading_.layout().line_data;
  const Address begin = monitoring_data(reading_.layout().monitoring_data.lines);
  if (begin.is_null()) return *lines_;
  if (fields.original_opcode.exists()) {
    lines_ = read(begin + static_cast<std::uint64_t>(fields.original_opcode.offset),
                  static_cast<std::size_t>(fields.size));
  } else if (fields.bytes_per_entry.exists() && fields.data.exists()) {
    const Result<std::uint8_t> entry = reading_.lasting.read_value<std::uint8_t>(
        begin + static_cast<std::uint64_t>(fields.bytes_per_entry.offset));
    if (entry && *entry >= least_entry && *entry <= most_entry)
      lines_ = read(begin + static_cast<std::uint64_t>(fields.data.offset), *entry);
  }
  return *lines_;
}

const Instrumentation::Kept& Instrumentation::per_instruction() {
  if (!per_instruction_)
    per_instruction_ = read(monitoring_data(reading_.layout().monitoring_data.per_instruction_opcodes), 1);
  return *per_instruction_;
}

Address Instrumentation::monitoring_data(PointerField field) {
  const PointerField data = reading_.layout().code.co_monitoring;
  if (!data.exists() || !field.exists()) return {};
  const Result<Address> all = reading_.lasting.read_address(code_ + static_cast<std::uint64_t>(data.offset));
  if (!all || all->is_null()) return {};
  const Result<Address> part = reading_.lasting.read_address(*all + static_cast<std::uint64_t>(field.offset));
  return part.value_or(Address());
}

Instrumentation::Kept Instrumentation::read(Address begin, std::size_t entry) {
  Kept kept{{}, entry};
  if (begin.is_null() || count_ == 0 || count_ > max_units) return kept;
  kept.bytes.resize((count_ - 1) * entry + 1);
  const Result<void> done =
      reading_.lasting.read(begin + first_ * entry, std::as_writable_bytes(std::span(kept.bytes)));
  if (!done) kept.bytes.clear();
  return kept;
}

std::optional<std::uint8_t> opcode_at(Reading& reading, Address code, std::int64_t offset) {
  const OpcodeTable* table = find_opcode_table(reading.runtime.version);
  const Result<std::shared_ptr<const Code>> head = read_code_head(reading, code);
  if (table == nullptr || !head || (*head)->instructions.is_null() || offset < 0) return std::nullopt;
  const auto at = static_cast<std::uint64_t>(offset);
  const Result<std::uint8_t> opcode = reading.lasting.read_value<std::uint8_t>((*head)->instructions + at);
  if (!opcode) return std::nullopt;
  return Instrumentation(reading, *table, code, at / unit_size, 1).original(*opcode, at / unit_size);
}

}  // namespace pythreads::pyframes
