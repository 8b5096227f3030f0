#include "pyframes/instrumentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "pyframes/bytecode.h"
#include "pyframes/layouts.h"
#include "tests/support/python_heap.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using tests::PythonHeap;

std::vector<LayoutRow> monitored_rows() {
  std::vector<LayoutRow> rows;
  for (const LayoutRow& row : layout_rows()) {
    if (row.layout->code.co_monitoring.exists()) rows.push_back(row);
  }
  return rows;
}

std::vector<LayoutRow> rows_by_size() {
  std::vector<LayoutRow> rows = monitored_rows();
  std::erase_if(rows, [](const LayoutRow& row) { return !row.layout->line_data.bytes_per_entry.exists(); });
  return rows;
}

std::string name_of(const testing::TestParamInfo<LayoutRow>& row) {
  return "v3_" + std::to_string(row.param.minor) + "_" + std::to_string(row.param.micro) +
         (row.param.kind.free_threaded ? "t" : "") + (row.param.kind.debug ? "d" : "") +
         (row.param.kind.linked_objects ? "_linked" : "");
}

class Monitored : public testing::TestWithParam<LayoutRow> {
 protected:
  static constexpr std::size_t units = 8;

  Monitored() : heap(*GetParam().layout), layout(*GetParam().layout) {
    runtime.layout = layout;
    runtime.version.major = 3;
    runtime.version.minor = GetParam().minor;
    runtime.version.micro = GetParam().micro;
    table = find_opcode_table(runtime.version);
    code = heap.code("traced", "/srv/app.py", 1, "", units * 2);
    heap.set(code, layout.tuple.ob_size, units);
    for (std::size_t i = 0; i < units; ++i) put_instruction(i, opcode_of(Op::nop));
    data = heap.allocate(256);
    heap.set(code, layout.code.co_monitoring, data);
    per_instruction = heap.allocate(units);
    heap.set(data, layout.monitoring_data.per_instruction_opcodes, per_instruction);
  }

  // The last one: an instrumented form, if there is one.
  std::uint8_t opcode_of(Op op) const {
    for (std::size_t i = 255; i > 0; --i) {
      if (table->kind(static_cast<std::uint8_t>(i)) == op) return static_cast<std::uint8_t>(i);
    }
    return 0;
  }

  void put_instruction(std::size_t unit, std::uint8_t opcode, std::uint8_t argument = 0) {
    const Address at = code + static_cast<std::uint64_t>(layout.code.co_code_adaptive.offset) + unit * 2;
    heap.memory().put(at, opcode);
    heap.memory().put(at + 1, argument);
  }

  // Line data as CPython makes them, with room for line numbers of `entry` - 1 bytes where there is a choice.
  void add_lines(std::uint8_t entry) {
    lines = heap.allocate(1 + units * entry);
    heap.set(data, layout.monitoring_data.lines, lines);
    heap.set(lines, layout.line_data.bytes_per_entry, entry);
    const bool fixed = layout.line_data.original_opcode.exists();
    stride = fixed ? static_cast<std::uint64_t>(layout.line_data.size) : entry;
    first = fixed ? lines : lines + static_cast<std::uint64_t>(layout.line_data.data.offset);
  }
  void keep_for_line(std::size_t unit, std::uint8_t opcode) {
    heap.memory().put(first + unit * stride, opcode);
  }
  void keep_for_instruction(std::size_t unit, std::uint8_t opcode) {
    heap.memory().put(per_instruction + unit, opcode);
  }

  Reading reading() {
    return Reading({.runtime = runtime,
                    .target = target,
                    .memory = heap.memory(),
                    .lasting = heap.memory(),
                    .keys = heap.memory(),
                    .options = options});
  }
  std::optional<std::uint8_t> at(std::size_t unit) {
    Reading fresh = reading();
    return opcode_at(fresh, code, static_cast<std::int64_t>(unit) * 2);
  }
  std::shared_ptr<const Bytecode> bytecode() {
    Reading fresh = reading();
    return read_bytecode(fresh, code);
  }

  PythonHeap heap;
  const RuntimeLayout& layout;
  Runtime runtime;
  ReadOptions options;
  attach::Target target;
  const OpcodeTable* table = nullptr;
  Address code, data, lines, first, per_instruction;
  std::uint64_t stride = 0;
};

TEST_P(Monitored, EventsAreWhatTheyReplaced) {
  for (const std::uint8_t entry : {std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{5}}) {
    add_lines(entry);
    put_instruction(0, opcode_of(Op::line_event), 7);
    keep_for_line(0, opcode_of(Op::load_fast));
    put_instruction(1, opcode_of(Op::instruction_event), 3);
    keep_for_instruction(1, opcode_of(Op::jump_forward));
    put_instruction(2, opcode_of(Op::line_event));
    keep_for_line(2, opcode_of(Op::instruction_event));
    keep_for_instruction(2, opcode_of(Op::call));
    EXPECT_EQ(at(0), opcode_of(Op::load_fast));
    EXPECT_EQ(at(1), opcode_of(Op::jump_forward));
    EXPECT_EQ(at(2), opcode_of(Op::call));
    EXPECT_EQ(at(7), opcode_of(Op::nop));
    const std::shared_ptr<const Bytecode> all = bytecode();
    ASSERT_TRUE(all && all->whole);
    ASSERT_GE(all->instructions.size(), 4U);
    EXPECT_EQ(all->instructions[0].op, Op::load_fast);
    EXPECT_EQ(all->instructions[0].argument, 7U);
    EXPECT_EQ(all->instructions[1].op, Op::jump_forward);
    EXPECT_EQ(all->instructions[2].op, Op::call);
    // Its caches are stepped over.
    EXPECT_EQ(all->instructions[3].at, 2 * (3 + table->caches[opcode_of(Op::call)]));
  }
}

TEST_P(Monitored, WhatIsNotKeptCannotBeTold) {
  put_instruction(1, opcode_of(Op::line_event));
  EXPECT_EQ(at(1), std::nullopt) << "there are no line data";
  add_lines(2);
  for (const std::uint8_t never : {std::uint8_t{0}, std::uint8_t{255}, opcode_of(Op::line_event)}) {
    keep_for_line(1, never);
    EXPECT_EQ(at(1), std::nullopt) << int{never};
  }
  keep_for_line(1, opcode_of(Op::instruction_event));
  keep_for_instruction(1, opcode_of(Op::instruction_event));
  EXPECT_EQ(at(1), std::nullopt) << "each says that the other has it";
  const std::shared_ptr<const Bytecode> all = bytecode();
  ASSERT_TRUE(all);
  EXPECT_FALSE(all->whole);
  EXPECT_EQ(all->instructions.size(), 1U);
  keep_for_instruction(1, opcode_of(Op::nop));
  EXPECT_TRUE(bytecode()->whole);
  heap.set(code, layout.code.co_monitoring, Address());
  EXPECT_EQ(at(1), std::nullopt) << "nothing monitors it";
}

// Those whose line data say of what size their entries are.
class MonitoredBySize : public Monitored {};

TEST_P(MonitoredBySize, LineDataOfNoSize) {
  put_instruction(0, opcode_of(Op::line_event));
  add_lines(2);
  keep_for_line(0, opcode_of(Op::nop));
  EXPECT_EQ(at(0), opcode_of(Op::nop));
  for (const int entry : {0, 1, 6, 255}) {
    heap.set(lines, layout.line_data.bytes_per_entry, entry);
    EXPECT_EQ(at(0), std::nullopt) << entry;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Monitored, testing::ValuesIn(monitored_rows()), name_of);
INSTANTIATE_TEST_SUITE_P(Layouts, MonitoredBySize, testing::ValuesIn(rows_by_size()), name_of);

TEST(LineData, ChangedIn3_13_3) {
  for (const bool debug : {false, true}) {
    for (const bool free_threaded : {false, true}) {
      EXPECT_TRUE(find_layout({3, 13, 2, 0}, {debug, free_threaded})->line_data.original_opcode.exists());
      EXPECT_FALSE(find_layout({3, 13, 3, 0}, {debug, free_threaded})->line_data.original_opcode.exists());
      EXPECT_TRUE(find_layout({3, 13, 3, 0}, {debug, free_threaded})->line_data.bytes_per_entry.exists());
    }
  }
  EXPECT_TRUE(find_layout({3, 12, 13, 0}, {})->line_data.original_opcode.exists());
}

}  // namespace
}  // namespace pythreads::pyframes
