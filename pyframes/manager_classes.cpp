#include "pyframes/manager_classes.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "pyframes/bytecode.h"
#include "pyframes/code.h"
#include "pyframes/exception_table.h"
#include "pyframes/instrumentation.h"
#include "pyframes/objects.h"
#include "pyframes/opcodes.h"
#include "pyframes/slots.h"
#include "pyframes/with_blocks.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr int max_bases = 16;
constexpr int deepest = 3;                // methods that call methods
constexpr int max_methods = 64;           // that are looked up for one manager
constexpr std::size_t max_mentions = 64;  // of one method

std::uint64_t at(PointerField field) {
  return static_cast<std::uint64_t>(std::max(field.offset, 0));
}

bool is_release(std::string_view name) {
  return name == "release" || name == "__exit__" || name == "__aexit__";
}
bool is_acquire(std::string_view name) {
  return name == "acquire" || name == "__enter__" || name == "__aenter__";
}

struct Found {
  Address value;  // in the dict of the class
  Address owner;  // the class
};

std::optional<Found> find_in_classes(Reading& reading, Address type, std::string_view name) {
  const RuntimeLayout& layout = reading.layout();
  for (int depth = 0; depth < max_bases && !type.is_null(); ++depth) {
    const Result<std::uint64_t> flags = type_flags(layout, reading.lasting, type);
    if (!flags || (*flags & type_flag::heap_type) == 0) return std::nullopt;
    const Result<Address> dict = reading.memory.read_address(type + at(layout.type.tp_dict));
    if (dict && !dict->is_null()) {
      const Result<std::optional<Address>> found = find_in_dict(layout, reading.memory, *dict, name);
      if (found && *found) return Found{**found, type};
    }
    const Result<Address> base = reading.lasting.read_address(type + at(layout.type.tp_base));
    if (!base) return std::nullopt;
    type = *base;
  }
  return std::nullopt;
}

bool is_named_type(Reading& reading, Address object, std::string_view name) {
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  if (!type || type->is_null()) return false;
  const Result<std::string> found = type_name(reading.layout(), reading.lasting, *type);
  return found && *found == name;
}

// `self.a.b`, or `GLOBAL.b`, as it stands in a method.
struct Mention {
  bool global = false;
  std::vector<std::string> names;  // a, b; of a global its own name first
  std::int64_t at = 0;
  bool may_fail = false;  // it is called with arguments, and what it gives is not tested
};

struct Method {
  Address function;
  Address owner;  // the class that has it
  std::vector<Mention> mentions;
  std::int64_t first_branch = -1;
  bool whole = false;
  bool has_with = false;
  bool calls_base = false;  // of the same name
};

std::string text_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ".") + name;
  return text;
}

class ManagerClass {
 public:
  ManagerClass(Reading& reading, Address manager, Address type)
      : reading_(reading), manager_(manager), type_(type) {}

  std::vector<GivenBack> given_back() {
    std::vector<Change> changes;
    for (const char* name : {"__exit__", "__aexit__"}) {
      if (changes.empty()) collect(type_, name, 0, changes);
    }
    std::vector<GivenBack> found;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const Change& change = changes[i];
      if (!change.release || acquired_in_same(changes, i)) continue;
      const std::optional<Address> object = value_of(change);
      if (!object) continue;
      const auto known = std::find_if(found.begin(), found.end(),
                                      [&](const GivenBack& each) { return each.object == *object; });
      const bool sure = is_taken_by_enter(change);
      if (known == found.end()) {
        found.push_back({*object, text_of(change.names), sure});
      } else {
        known->sure |= sure;
      }
    }
    return found;
  }

  // What `name` releases, if nothing else is released by it.
  std::optional<Address> only_release_of(std::string_view name) {
    std::vector<Change> changes;
    collect(type_, name, 0, changes);
    std::optional<Address> only;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const std::optional<Address> object = changes[i].release ? value_of(changes[i]) : std::nullopt;
      if (!object || acquired_in_same(changes, i)) continue;
      if (only && *only != *object) return std::nullopt;
      only = object;
    }
    return only;
  }

  std::vector<Address> released_by_enter() {
    std::vector<Address> found;
    for (const Change& each : enter()) {
      const std::optional<Address> object = each.release ? value_of(each) : std::nullopt;
      if (object) found.push_back(*object);
    }
    return found;
  }

  std::vector<GivenBack> named() {
    std::vector<GivenBack> found;
    std::optional<Method> method = read_method(type_, "__exit__");
    if (!method) method = read_method(type_, "__aexit__");
    if (!method || method->has_with) return found;
    for (const Mention& mention : method->mentions) {
      if (mention.global || mention.names.empty()) continue;
      const bool acquires = std::any_of(mention.names.begin(), mention.names.end(), is_acquire);
      const std::optional<Address> object = attribute_of(reading_, manager_, mention.names.front());
      if (!acquires && object) found.push_back({*object, mention.names.front(), false});
    }
    return found;
  }

 private:
  // A lock that a method takes or gives back.
  struct Change {
    bool release = false;
    bool global = false;
    std::vector<std::string> names;
    Address function;
    std::int64_t at = 0;
    bool sure = false;  // no branch before it
    bool may_fail = false;
  };

  const RuntimeLayout& layout() const { return reading_.layout(); }

  static bool acquired_in_same(const std::vector<Change>& changes, std::size_t index) {
    const Change& release = changes[index];
    return std::any_of(changes.begin(), changes.end(), [&](const Change& each) {
      return !each.release && each.global == release.global && each.names == release.names &&
             each.function == release.function && each.at < release.at;
    });
  }

  const std::vector<Change>& enter() {
    if (!enter_read_) {
      enter_read_ = true;
      for (const char* name : {"__enter__", "__aenter__"}) {
        if (enter_.empty()) collect(type_, name, 0, enter_);
      }
    }
    return enter_;
  }

  // What `__enter__` does last to it is to take it, which can't fail; and either that or its release stands
  // behind no branch.
  bool is_taken_by_enter(const Change& release) {
    const Change* last = nullptr;
    for (const Change& each : enter()) {
      if (each.global == release.global && each.names == release.names) last = &each;
    }
    return last != nullptr && !last->release && !last->may_fail && (last->sure || release.sure);
  }

  // In the order of the code; a method that is called stands behind all of its caller.
  // A method that is called without arguments, as the block calls `__enter__`, hands on its defaults, which
  // of what looks like a lock's acquire are not to fail.
  void collect(Address type, std::string_view name, int depth, std::vector<Change>& into, bool sure = true,
               bool by_default = false) {
    if (depth > deepest || methods_left_ == 0) return;
    --methods_left_;
    const std::optional<Method> method = read_method(type, name);
    if (!method) return;
    for (const Mention& mention : method->mentions) {
      if (into.size() >= max_mentions || mention.names.empty()) continue;
      const bool certain =
          sure && method->whole && (method->first_branch < 0 || mention.at < method->first_branch);
      const std::string& last = mention.names.back();
      if (mention.names.size() >= 2 && (is_release(last) || is_acquire(last))) {
        Change change;
        change.release = is_release(last);
        change.global = mention.global;
        change.names.assign(mention.names.begin(), mention.names.end() - 1);
        change.function = method->function;
        change.at = mention.at;
        change.sure = certain;
        change.may_fail = mention.may_fail && !by_default;
        into.push_back(std::move(change));
      } else if (!mention.global && mention.names.size() == 1 && last != name) {
        collect(type_, last, depth + 1, into, certain, !mention.may_fail);
      }
    }
    if (!method->calls_base) return;
    const Result<Address> base = reading_.lasting.read_address(method->owner + at(layout().type.tp_base));
    if (base) collect(*base, name, depth + 1, into, sure, by_default);
  }

  std::optional<Method> read_method(Address type, std::string_view name) {
    const std::optional<Found> found = find_in_classes(reading_, type, name);
    if (!found || !layout().function.func_code.exists()) return std::nullopt;
    if (!is_named_type(reading_, found->value, "function")) return std::nullopt;
    const Result<Address> code = reading_.memory.read_address(found->value + at(layout().function.func_code));
    if (!code) return std::nullopt;
    const std::shared_ptr<const Bytecode> bytecode = read_bytecode(reading_, *code);
    if (!bytecode) return std::nullopt;
    Method method;
    method.function = found->value;
    method.owner = found->owner;
    method.whole = bytecode->whole;
    scan(*code, *bytecode, method);
    method.calls_base = names_itself(*code, name);
    method.has_with = has_with(*code, *bytecode);
    return method;
  }

  void scan(Address code, const Bytecode& bytecode, Method& method) {
    const OpcodeTable* table = find_opcode_table(reading_.runtime.version);
    if (table == nullptr) return;
    std::optional<Mention> current;
    const auto end = [&] {
      if (current && !current->names.empty() && method.mentions.size() < max_mentions)
        method.mentions.push_back(std::move(*current));
      current.reset();
    };
    bool just_ended = false;  // the last mention, and its call has not come yet
    for (std::size_t i = 0; i < bytecode.instructions.size(); ++i) {
      const Instruction& each = bytecode.instructions[i];
      const std::size_t before = method.mentions.size();
      switch (each.op) {
        case Op::call:
          end();
          if (just_ended) method.mentions.back().may_fail = each.argument > 0 && !is_tested(bytecode, i);
          just_ended = false;
          break;
        case Op::load_fast:
        case Op::load_fast_pair:
          end();
          // The first argument is the instance.
          if ((each.op == Op::load_fast ? each.argument : each.argument & 15U) == 0)
            current = Mention{false, {}, each.at};
          break;
        case Op::load_global:
          end();
          current =
              Mention{true, {name_of_code(reading_, code, each.argument >> table->global_shift)}, each.at};
          break;
        case Op::load_attr:
        case Op::load_method: {
          const std::uint32_t shift = each.op == Op::load_attr ? table->attribute_shift : 0U;
          if (current) current->names.push_back(name_of_code(reading_, code, each.argument >> shift));
          if (each.op == Op::load_method) end();
          break;
        }
        case Op::nop:
          break;
        case Op::branch:
          if (method.first_branch < 0) method.first_branch = each.at;
          end();
          break;
        default:
          end();
      }
      just_ended = each.op != Op::call && (just_ended || method.mentions.size() > before);
    }
    end();
  }

  // super().__exit__(…), Base.__exit__(self, …)
  bool names_itself(Address code, std::string_view name) {
    constexpr std::uint32_t most = 64;
    for (std::uint32_t i = 0; i < most; ++i) {
      const std::string each = name_of_code(reading_, code, i);
      if (each.empty()) return false;
      if (each == name) return true;
    }
    return false;
  }

  bool has_with(Address code, const Bytecode& bytecode) {
    const Opcodes* opcodes = find_opcodes(reading_.runtime.version);
    const std::shared_ptr<const ExceptionTable> table = exception_table_of(reading_, code);
    if (opcodes == nullptr) return true;
    if (!layout().code.co_exceptiontable.exists()) return has_setup_with(code, bytecode, *opcodes);
    if (!table) return true;
    for (const Instruction& each : bytecode.instructions) {
      const std::optional<ExceptionHandler> handler = find_handler(*table, each.at);
      if (!handler) continue;
      const std::optional<std::uint8_t> opcode = opcode_at(reading_, code, handler->target + 2);
      if (!opcode || *opcode == opcodes->with_except_start) return true;
    }
    return false;
  }

  bool has_setup_with(Address code, const Bytecode& bytecode, const Opcodes& opcodes) {
    const Result<Address> bytes = reading_.lasting.read_address(code + at(layout().code.co_code));
    if (!bytes) return true;
    const Result<BytesValue> value = read_bytes(layout(), reading_.lasting, *bytes, 1 << 16);
    if (!value || value->cut) return true;
    return std::any_of(
        bytecode.instructions.begin(), bytecode.instructions.end(), [&](const Instruction& each) {
          const auto place = static_cast<std::size_t>(each.at);
          if (place >= value->bytes.size()) return true;
          return value->bytes[place] == opcodes.setup_with || value->bytes[place] == opcodes.setup_async_with;
        });
  }

  std::optional<Address> value_of(const Change& change) {
    std::optional<Address> object = manager_;
    for (std::size_t i = 0; i < change.names.size(); ++i) {
      object = i == 0 && change.global ? global_of(change.function, change.names[i])
                                       : attribute_of(reading_, *object, change.names[i]);
      if (!object) return std::nullopt;
    }
    return object;
  }

  std::optional<Address> global_of(Address function, const std::string& name) {
    if (!layout().function.func_globals.exists()) return std::nullopt;
    const Result<Address> globals =
        reading_.memory.read_address(function + at(layout().function.func_globals));
    if (!globals || globals->is_null()) return std::nullopt;
    const Result<std::optional<Address>> found = find_in_dict(layout(), reading_.memory, *globals, name);
    return found ? *found : std::nullopt;
  }

  Reading& reading_;
  Address manager_, type_;
  bool enter_read_ = false;
  int methods_left_ = max_methods;
  std::vector<Change> enter_;
};

}  // namespace

std::vector<GivenBack> given_back_by_exit(Reading& reading, Address manager, Address type) {
  return ManagerClass(reading, manager, type).given_back();
}

std::vector<Address> released_by_enter(Reading& reading, Address manager, Address type) {
  return ManagerClass(reading, manager, type).released_by_enter();
}

std::optional<Address> released_by_method(Reading& reading, Address object, Address type,
                                          std::string_view method) {
  return ManagerClass(reading, object, type).only_release_of(method);
}

std::vector<GivenBack> named_by_exit(Reading& reading, Address manager, Address type) {
  return ManagerClass(reading, manager, type).named();
}

std::optional<Address> attribute_of(Reading& reading, Address object, std::string_view name) {
  const Result<std::optional<Address>> own = find_attribute(reading.layout(), reading.memory, object, name);
  if (own && *own) return **own;
  const Result<Address> type = type_of(reading.layout(), reading.memory, object);
  if (!type || type->is_null()) return std::nullopt;
  const std::optional<Found> found = find_in_classes(reading, *type, name);
  if (!found) return std::nullopt;
  if (is_named_type(reading, found->value, "member_descriptor"))
    return slot_of(reading, object, found->value);
  return found->value;
}

}  // namespace pythreads::pyframes
