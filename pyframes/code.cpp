#include "pyframes/code.h"

#include <optional>
#include <string_view>
#include <utility>

#include "pyframes/objects.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Result;

constexpr std::size_t max_line_table = 1 << 20;  // bytes: about a hundred thousand lines in one function

void add_gap(Code& code, std::string_view what, const Error& error) {
  if (!code.gap.empty()) code.gap += "; ";
  code.gap += std::string(what) + ": " + error.message;
}

std::optional<std::string> read_text(Reading& reading, Code& code, std::optional<Address> object,
                                     std::size_t limit, std::string_view what) {
  if (!object) {
    add_gap(code, what, Error{ErrorCode::internal, "not in the layout", ""});
    return std::nullopt;
  }
  Result<StrValue> text = read_str(reading.layout(), reading.lasting, *object, limit);
  if (!text) {
    add_gap(code, what, text.error());
    return std::nullopt;
  }
  if (text->cut) text->text += "…";
  return std::move(text->text);
}

struct Head {
  std::shared_ptr<Code> code;
  StructCopy copy;
};

Result<Head> read_head(Reading& reading, Address address) {
  Result<bool> right = is_code(reading, address);
  if (!right) return std::move(right).error().within("the type of a code object");
  if (!*right) return Error{ErrorCode::corrupt, "a frame whose code is no code object", ""};
  const RuntimeLayout& layout = reading.layout();
  Result<StructCopy> copy = StructCopy::read(reading.lasting, address, layout.code.size);
  if (!copy) return std::move(copy).error();
  auto code = std::make_shared<Code>();
  code->address = address;
  code->first_line = copy->get(layout.code.co_firstlineno).value_or(0);
  code->flags = copy->get(layout.code.co_flags).value_or(0);
  code->first_traceable = copy->get(layout.code.co_firsttraceable).value_or(0);
  if (layout.code.co_code_adaptive.exists())
    code->instructions = address + static_cast<std::uint64_t>(layout.code.co_code_adaptive.offset);
  code->thread_local_instructions = copy->pointer(layout.code.co_tlbc).value_or(Address());
  return Head{std::move(code), *std::move(copy)};
}

}  // namespace

Result<bool> is_code(Reading& reading, Address object) {
  Result<Address> type = type_of(reading.layout(), reading.lasting, object);
  if (!type) return std::move(type).error();
  if (!reading.code_type.is_null() && *type == reading.code_type) return true;
  Result<std::string> name = type_name(reading.layout(), reading.lasting, *type);
  if (!name) return std::move(name).error();
  if (*name != "code") return false;
  reading.code_type = *type;
  return true;
}

Result<std::shared_ptr<const Code>> read_code_head(Reading& reading, Address address) {
  if (auto known = reading.codes.find(address); known != reading.codes.end()) return known->second;
  if (auto known = reading.code_heads.find(address); known != reading.code_heads.end()) return known->second;
  Result<Head> head = read_head(reading, address);
  if (!head) return std::move(head).error();
  std::shared_ptr<const Code> finished = std::move(head->code);
  reading.code_heads.emplace(address, finished);
  return finished;
}

const attach::SharedText& code_name(Reading& reading, Address address) {
  const auto [known, added] = reading.code_names.try_emplace(address);
  if (!added) return known->second;
  if (auto whole = reading.codes.find(address); whole != reading.codes.end())
    return known->second = whole->second->name;
  const Result<bool> right = is_code(reading, address);
  if (!right || !*right || !reading.layout().code.co_name.exists()) return known->second;
  const Result<Address> name = reading.lasting.read_address(
      address + static_cast<std::uint64_t>(reading.layout().code.co_name.offset));
  Result<StrValue> text = name ? read_str(reading.layout(), reading.lasting, *name, max_name_length)
                               : Result<StrValue>(name.error());
  if (text) known->second = std::move(text->text);
  return known->second;
}

Result<std::shared_ptr<const Code>> read_code(Reading& reading, Address address) {
  if (auto known = reading.codes.find(address); known != reading.codes.end()) return known->second;
  Result<Head> head = read_head(reading, address);
  if (!head) return std::move(head).error();
  const RuntimeLayout& layout = reading.layout();
  const std::shared_ptr<Code> code = std::move(head->code);
  const StructCopy* copy = &head->copy;
  std::optional<std::string> name =
      read_text(reading, *code, copy->pointer(layout.code.co_name), max_name_length, "co_name");
  code->name_unread = !name;
  code->name = std::move(name).value_or("");
  std::optional<std::string> file =
      read_text(reading, *code, copy->pointer(layout.code.co_filename), max_path_length, "co_filename");
  code->file_unread = !file;
  code->file = std::move(file).value_or("");
  code->qualified_name = code->name;
  if (layout.code.co_qualname.exists()) {
    std::optional<std::string> qualified =
        read_text(reading, *code, copy->pointer(layout.code.co_qualname), max_name_length, "co_qualname");
    if (qualified) code->qualified_name = std::move(*qualified);
  }
  if (std::optional<Address> table = copy->pointer(layout.code.co_linetable)) {
    Result<BytesValue> bytes = read_bytes(layout, reading.lasting, *table, max_line_table);
    if (bytes) {
      code->line_table = std::move(bytes->bytes);
    } else {
      add_gap(*code, "line table", bytes.error());
    }
  }
  std::shared_ptr<const Code> finished = code;
  reading.codes.emplace(address, finished);
  return finished;
}

}  // namespace pythreads::pyframes
