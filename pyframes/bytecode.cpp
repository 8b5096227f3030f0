#include "pyframes/bytecode.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "pyframes/code.h"
#include "pyframes/instrumentation.h"
#include "pyframes/objects.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_bytes = 1 << 18;
constexpr std::int64_t unit = 2;
constexpr std::size_t max_calls = 1024;  // of one code object

// The methods that say something of locks.
constexpr std::array<std::string_view, 20> telling_methods{
    "acquire",    "release", "notify",     "notify_all", "notifyAll",  "set",           "put",
    "put_nowait", "get",     "get_nowait", "task_done",  "set_result", "set_exception", "cancel",
    "wait",       "abort",   "reset",      "__enter__",  "__exit__",   "join"};

std::vector<std::uint8_t> read_instructions(Reading& reading, Address code) {
  const RuntimeLayout& layout = reading.layout();
  if (layout.code.co_code.exists()) {
    const Result<Address> bytes =
        reading.lasting.read_address(code + static_cast<std::uint64_t>(layout.code.co_code.offset));
    Result<BytesValue> value =
        bytes ? read_bytes(layout, reading.lasting, *bytes, max_bytes) : Result<BytesValue>(bytes.error());
    if (!value || value->cut) return {};
    return std::move(value->bytes);
  }
  const Result<std::shared_ptr<const Code>> head = read_code_head(reading, code);
  if (!head || (*head)->instructions.is_null()) return {};
  // A code object is a variable-sized one: ob_size counts its words (Include/cpython/code.h, _PyCode_DEF).
  const Result<std::int64_t> words = reading.lasting.read_value<std::int64_t>(
      code + static_cast<std::uint64_t>(layout.tuple.ob_size.offset));
  if (!words || *words <= 0 || static_cast<std::uint64_t>(*words) > max_bytes / 2) return {};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(*words) * 2);
  const Result<void> done =
      reading.lasting.read((*head)->instructions, std::as_writable_bytes(std::span(bytes)));
  return done ? bytes : std::vector<std::uint8_t>{};
}

Bytecode decode(const OpcodeTable& table, const std::vector<std::uint8_t>& bytes,
                std::int64_t first_traceable, Instrumentation instrumentation) {
  Bytecode code;
  code.whole = !bytes.empty();
  std::uint32_t argument = 0;
  std::int64_t begin = -1;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto at = static_cast<std::int64_t>(i);
    const std::optional<std::uint8_t> opcode = instrumentation.original(bytes[i], i / 2);
    if (!opcode) {
      code.whole = false;
      break;
    }
    const Op op = table.kind(*opcode);
    argument = argument << 8 | bytes[i + 1];
    if (begin < 0) begin = at;
    if (op == Op::extended_arg) continue;
    code.instructions.push_back({begin, at, op, *opcode, argument});
    argument = 0;
    begin = -1;
    // An executor stands for a backward jump, which has a cache, or for the RESUME at the start, which has
    // none.
    const std::size_t caches =
        op == Op::executor ? (at == first_traceable * unit ? 0 : 1) : table.caches[*opcode];
    i += caches * 2;
  }
  return code;
}

class CallFinder {
 public:
  CallFinder(Reading& reading, Address code, const OpcodeTable& table)
      : reading_(reading), code_(code), table_(table) {}

  std::vector<MethodCall> find(const Bytecode& bytecode) {
    for (std::size_t i = 0; i < bytecode.instructions.size(); ++i) {
      if (const std::optional<std::size_t> called = step(bytecode.instructions[i]))
        found_[*called].may_have_failed = bytecode.instructions[i].argument > 0 && !is_tested(bytecode, i);
    }
    std::erase_if(found_, [](const MethodCall& call) { return call.call < 0; });
    return std::move(found_);
  }

 private:
  void begin(Expression::Root root, std::uint32_t index) { current_ = Expression{root, index, {}}; }

  // The method that is called here, if it is one.
  std::optional<std::size_t> step(const Instruction& each) {
    if (table_.methods_are_attributes) follow_stack(each);
    switch (each.op) {
      case Op::load_fast:
        begin(Expression::Root::variable, each.argument);
        break;
      case Op::load_fast_pair:
        begin(Expression::Root::variable, each.argument & 15U);
        break;
      case Op::load_global:
        begin(Expression::Root::global, each.argument >> table_.global_shift);
        break;
      case Op::load_name:
        begin(Expression::Root::name, each.argument);
        break;
      case Op::load_deref:
        begin(Expression::Root::cell, each.argument);
        break;
      case Op::load_attr: {
        const std::uint32_t index = each.argument >> table_.attribute_shift;
        if (table_.attribute_shift > 0 && (each.argument & 1U) != 0) {
          add_method(index, each);
          break;
        }
        if (current_.root == Expression::Root::none) break;
        if (table_.methods_are_attributes) open_if_telling(index, each);
        current_.attributes.push_back(index);
        break;
      }
      case Op::load_method:
        add_method(each.argument, each);
        break;
      case Op::call:
        current_ = {};
        return called(each);
      case Op::nop:
      case Op::extended_arg:
        break;
      default:
        current_ = {};
    }
    return std::nullopt;
  }

  std::optional<std::size_t> called(const Instruction& each) {
    if (open_.empty()) return std::nullopt;
    // What a call gives lies where the function lay.
    if (table_.methods_are_attributes && open_.back().depth != depth_) return std::nullopt;
    const std::optional<std::size_t> place = open_.back().place;
    open_.pop_back();
    if (place) found_[*place].call = each.at;
    return place;
  }

  void add_method(std::uint32_t index, const Instruction& each) {
    open_.push_back({find_telling(index, each), depth_});
    current_ = {};
  }

  void open_if_telling(std::uint32_t index, const Instruction& each) {
    const std::optional<std::size_t> place = find_telling(index, each);
    if (place) open_.push_back({place, depth_});
  }

  std::optional<std::size_t> find_telling(std::uint32_t index, const Instruction& each) {
    const std::string name = name_of_code(reading_, code_, index);
    const bool telling =
        std::find(telling_methods.begin(), telling_methods.end(), name) != telling_methods.end();
    if (!telling || current_.root == Expression::Root::none || found_.size() >= max_calls)
      return std::nullopt;
    found_.push_back({current_, name, each.at, -1});
    return found_.size() - 1;
  }

  // How deep the value stack is after the instruction, counted from anywhere. A method that is taken off
  // without being called, or that one way of a branch loads, is given up.
  void follow_stack(const Instruction& each) {
    const std::int8_t effect = table_.stack_effects[each.opcode];
    if (effect == unknown_effect || each.op == Op::branch || each.op == Op::jump_forward)
      return open_.clear();
    depth_ += effect + std::int64_t{table_.stack_effects_per_unit[each.opcode]} * each.argument;
    const std::int64_t kept = each.op == Op::call ? depth_ : depth_ - 1;
    const bool grows = effect > 0 && each.op != Op::call;
    while (!open_.empty() && !grows && open_.back().depth > kept) open_.pop_back();
  }

  Reading& reading_;
  Address code_;
  const OpcodeTable& table_;
  Expression current_;
  // Methods that were looked up and not called yet. `depth` is that of the stack with the method on top.
  struct Open {
    std::optional<std::size_t> place;
    std::int64_t depth = 0;
  };
  std::vector<Open> open_;
  std::int64_t depth_ = 0;
  std::vector<MethodCall> found_;
};

}  // namespace

bool is_tested(const Bytecode& bytecode, std::size_t place) {
  constexpr std::size_t farthest = 4;  // `not`, `is None`, conversion to a bool, `:=`
  const std::vector<Instruction>& all = bytecode.instructions;
  const auto leads_to_branch = [&](std::size_t from) {
    for (std::size_t i = from; i < std::min(all.size(), from + farthest + 1); ++i) {
      if (all[i].op == Op::branch) return true;
      const bool stores = all[i].op == Op::drop && i > from;  // `if got := lock.acquire(…)`
      if (all[i].op != Op::other && all[i].op != Op::nop && !stores) return false;
    }
    return false;
  };
  if (leads_to_branch(place + 1)) return true;
  if (place + 2 >= all.size()) return false;
  const Instruction &stored = all[place + 1], &loaded = all[place + 2];
  if (stored.op == Op::load_fast_pair && stored.argument >> 4 == (stored.argument & 15U))
    return leads_to_branch(place + 2);
  const bool same = stored.op == Op::drop && loaded.op == Op::load_fast && stored.argument == loaded.argument;
  return same && leads_to_branch(place + 3);
}

std::shared_ptr<const Bytecode> read_bytecode(Reading& reading, Address code) {
  const auto [known, added] = reading.bytecodes.try_emplace(code);
  if (!added) return known->second;
  const OpcodeTable* table = find_opcode_table(reading.runtime.version);
  if (table == nullptr) return nullptr;
  const Result<std::shared_ptr<const Code>> head = read_code_head(reading, code);
  if (!head) return nullptr;
  const std::vector<std::uint8_t> bytes = read_instructions(reading, code);
  known->second = std::make_shared<const Bytecode>(decode(
      *table, bytes, (*head)->first_traceable, Instrumentation(reading, *table, code, 0, bytes.size() / 2)));
  return known->second;
}

std::string name_of_code(Reading& reading, Address code, std::uint32_t index) {
  const RuntimeLayout& layout = reading.layout();
  const auto [known, added] = reading.code_name_tuples.try_emplace(code);
  if (added && layout.code.co_names.exists()) {
    const Result<Address> tuple =
        reading.lasting.read_address(code + static_cast<std::uint64_t>(layout.code.co_names.offset));
    constexpr std::size_t most = 4096;
    const Result<Items> items =
        tuple ? read_tuple(layout, reading.lasting, *tuple, most) : Result<Items>(tuple.error());
    if (items) known->second = items->items;
  }
  if (index >= known->second.size()) return {};
  const Result<StrValue> text = read_str(layout, reading.lasting, known->second[index], max_name_length);
  return text ? text->text : std::string();
}

std::shared_ptr<const std::vector<MethodCall>> method_calls(Reading& reading, Address code) {
  if (const auto known = reading.method_calls.find(code); known != reading.method_calls.end())
    return known->second;
  const std::shared_ptr<const Bytecode> bytecode = read_bytecode(reading, code);
  const OpcodeTable* table = find_opcode_table(reading.runtime.version);
  auto calls = std::make_shared<std::vector<MethodCall>>();
  if (bytecode && table != nullptr) *calls = CallFinder(reading, code, *table).find(*bytecode);
  reading.method_calls.emplace(code, calls);
  return calls;
}

}  // namespace pythreads::pyframes
