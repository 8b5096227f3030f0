#include "pyframes/exceptions.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pyframes/frame_slots.h"
#include "pyframes/hex.h"
#include "pyframes/objects.h"
#include "pyframes/redaction.h"
#include "pyframes/values.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Error;
using attach::ErrorCode;
using attach::Result;

constexpr std::size_t max_message = 200;    // characters shown
constexpr std::size_t max_argument = 1024;  // characters looked at: a secret is hidden before the cut
constexpr std::size_t max_arguments = 10;
constexpr int max_handlers = 1000;  // nested handlers of generators within generators
constexpr std::size_t max_traceback = 20000;
constexpr int max_message_depth = 3;  // an exception as the argument of an exception
constexpr std::int32_t stack_item_bytes = 32;

// PyOSErrorObject goes on behind PyBaseExceptionObject (whose last fields are `cause` and the byte
// suppress_context) with errno, strerror, filename and, after a word that only Windows has, filename2.
constexpr std::uint64_t word = 8;

std::string cut_to(std::string text, std::size_t characters) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (count++ == characters) {
      text.resize(i);
      return text + "…";
    }
  }
  return text;
}

class ExceptionReader {
 public:
  explicit ExceptionReader(Reading& reading) : reading_(reading), layout_(reading.layout()) {}

  Result<std::optional<PyException>> read(const StructCopy& tstate) {
    Result<Address> handled = find_handled(tstate);
    if (!handled) return std::move(handled).error();
    if (handled->is_null()) return std::optional<PyException>();
    PyException exception;
    const Result<Address> type = type_of(layout_, reading_.memory, *handled);
    if (!type) return type.error();
    Result<std::string> name = qualified_type_name(layout_, reading_.memory, *type);
    if (!name) return std::move(name).error();
    exception.type = *std::move(name);
    std::string text = message(*handled, *type, 0);
    if (reading_.options.redact) text = redact_text(text);
    exception.message = cut_to(std::move(text), max_message);
    read_raised_at(*handled, exception);
    return std::optional<PyException>(std::move(exception));
  }

 private:
  Result<Address> pointer_at(Address object, PointerField field) {
    if (!field.exists()) return Error{ErrorCode::unreadable, "a field that the layout does not have", ""};
    return reading_.memory.read_address(object + static_cast<std::uint64_t>(field.offset));
  }

  // An instance of BaseException; None and what is left from a corrupt chain are not.
  bool is_exception(Address object) {
    const Result<std::uint64_t> flags = object_flags(layout_, reading_.memory, object);
    return flags && (*flags & type_flag::base_exc_subclass) != 0;
  }

  // Null: none is being handled.
  Result<Address> find_handled(const StructCopy& tstate) {
    if (layout_.thread_state.exc_value.exists()) {
      const Address value = tstate.pointer(layout_.thread_state.exc_value).value_or(Address());
      return value.is_null() || !is_exception(value) ? Address() : value;
    }
    std::optional<Address> item = tstate.pointer(layout_.thread_state.exc_info);
    if (!item) return Error{ErrorCode::unreadable, "the layout does not tell where it is", ""};
    for (int depth = 0; depth < max_handlers && !item->is_null(); ++depth) {
      const Result<Address> value = pointer_at(*item, layout_.err_stack_item.exc_value);
      if (!value) return value.error();
      if (!value->is_null() && is_exception(*value)) return *value;
      const Result<Address> previous = pointer_at(*item, layout_.err_stack_item.previous_item);
      if (!previous) return previous.error();
      item = *previous;
    }
    return Address();
  }

  std::string str_of(Address object, int depth) {
    const Result<Address> type = type_of(layout_, reading_.memory, object);
    const Result<std::uint64_t> flags =
        type ? type_flags(layout_, reading_.memory, *type) : Result<std::uint64_t>(type.error());
    if (flags && (*flags & type_flag::unicode_subclass) != 0) {
      Result<StrValue> text = read_str(layout_, reading_.memory, object, max_argument);
      if (text) return std::move(text->text);
    } else if (flags && (*flags & type_flag::base_exc_subclass) != 0) {
      if (depth < max_message_depth) return message(object, *type, depth + 1);
    }
    return repr_of(object);
  }

  std::string repr_of(Address object) {
    ValueLimits limits;
    limits.characters = max_argument;
    return read_value(reading_, object, limits).text;
  }

  bool is_a(Address type, std::string_view name) {
    const Result<bool> is = type_or_base_is(layout_, reading_.memory, type, name);
    return is && *is;
  }

  bool is_present(Address object) {
    if (object.is_null()) return false;
    const Result<Address> type = type_of(layout_, reading_.memory, object);
    if (!type) return false;
    const Result<std::string> name = type_name(layout_, reading_.memory, *type);
    return name && *name != "NoneType";
  }

  // OSError.__str__; none where it is the ordinary one.
  std::optional<std::string> os_error_message(Address exception) {
    if (!layout_.base_exception.cause.exists()) return std::nullopt;
    const Address after =
        exception + static_cast<std::uint64_t>(layout_.base_exception.cause.offset) + 2 * word;
    std::vector<Address> fields;
    for (std::uint64_t i = 0; i < 4; ++i) {
      const Result<Address> field = reading_.memory.read_address(after + i * word);
      if (!field) return std::nullopt;
      fields.push_back(*field);
    }
    const Address number = fields[0], text = fields[1], file = fields[2], second_file = fields[3];
    if (number.is_null() || text.is_null()) return std::nullopt;
    std::string shown =
        "[Errno " + str_of(number, max_message_depth) + "] " + str_of(text, max_message_depth);
    if (!is_present(file)) {
      if (is_present(number) && is_present(text)) return shown;
      return std::nullopt;
    }
    shown += ": " + repr_of(file);
    if (is_present(second_file)) shown += " -> " + repr_of(second_file);
    return shown;
  }

  // " 0xff", empty where it can't be had.
  std::string bad_byte(Address object, std::int64_t position) {
    constexpr std::int64_t max_position = 1 << 16;
    const Result<std::uint64_t> flags = object_flags(layout_, reading_.memory, object);
    if (!flags || (*flags & type_flag::bytes_subclass) == 0) return "";
    if (position < 0 || position > max_position) return "";
    const auto index = static_cast<std::size_t>(position);
    const Result<BytesValue> bytes = read_bytes(layout_, reading_.memory, object, index + 1);
    if (!bytes || bytes->bytes.size() <= index) return "";
    const std::string digits = hex(bytes->bytes[index]).substr(2);
    return digits.size() < 2 ? " 0x0" + digits : " 0x" + digits;
  }

  // args of UnicodeEncodeError and UnicodeDecodeError: encoding, object, start, end, reason.
  std::optional<std::string> unicode_error_message(const std::vector<Address>& args, std::string_view verb) {
    if (args.size() != 5) return std::nullopt;
    const auto number = [&](Address object) -> std::optional<std::int64_t> {
      const Result<std::uint64_t> flags = object_flags(layout_, reading_.memory, object);
      if (!flags || (*flags & type_flag::long_subclass) == 0) return std::nullopt;
      const Result<IntValue> value = read_int(layout_, reading_.memory, object);
      return value ? value->as_int64() : std::nullopt;
    };
    const std::optional<std::int64_t> start = number(args[2]);
    const std::optional<std::int64_t> end = number(args[3]);
    if (!start || !end) return std::nullopt;
    const std::string_view what = verb == "encode" ? "character" : "byte";
    std::string text = "'" + str_of(args[0], max_message_depth) + "' codec can't " + std::string(verb) + " ";
    text += what;
    if (*end - 1 == *start) {
      if (verb == "decode") text += bad_byte(args[1], *start);
      text += " in position " + std::to_string(*start);
    } else {
      text += "s in position " + std::to_string(*start) + "-" + std::to_string(*end - 1);
    }
    return text + ": " + str_of(args[4], max_message_depth);
  }

  std::string message(Address exception, Address type, int depth) {
    const Result<Address> args_at = pointer_at(exception, layout_.base_exception.args);
    if (!args_at || args_at->is_null()) return "";
    const Result<std::uint64_t> flags = object_flags(layout_, reading_.memory, *args_at);
    if (!flags || (*flags & type_flag::tuple_subclass) == 0) return "";
    const Result<Items> args = read_tuple(layout_, reading_.memory, *args_at, max_arguments);
    if (!args) return "<unreadable at " + hex(*args_at) + ">";
    if (is_a(type, "OSError")) {
      std::optional<std::string> text = os_error_message(exception);
      if (text) return *std::move(text);
    } else if (is_a(type, "UnicodeDecodeError")) {
      std::optional<std::string> text = unicode_error_message(args->items, "decode");
      if (text) return *std::move(text);
    } else if (is_a(type, "UnicodeEncodeError")) {
      std::optional<std::string> text = unicode_error_message(args->items, "encode");
      if (text) return *std::move(text);
    } else if (args->length == 2 && is_a(type, "BaseExceptionGroup")) {
      return group_message(args->items, depth);
    }
    if (args->length == 0) return "";
    if (args->length > 1) return repr_of(*args_at);
    return is_a(type, "KeyError") ? repr_of(args->items[0]) : str_of(args->items[0], depth);
  }

  std::string group_message(const std::vector<Address>& args, int depth) {
    std::string text = str_of(args[0], depth);
    const Result<std::uint64_t> flags = object_flags(layout_, reading_.memory, args[1]);
    if (!flags) return text;
    std::optional<std::uint64_t> count;
    if ((*flags & type_flag::list_subclass) != 0) {
      const Result<Items> items = read_list(layout_, reading_.memory, args[1], 0);
      if (items) count = items->length;
    } else if ((*flags & type_flag::tuple_subclass) != 0) {
      const Result<Items> items = read_tuple(layout_, reading_.memory, args[1], 0);
      if (items) count = items->length;
    }
    if (count) text += " (" + std::to_string(*count) + (*count == 1 ? " sub-exception)" : " sub-exceptions)");
    return text;
  }

  // The last entry of the chain: it was made in the frame that raised. Null: there is none.
  Result<StructCopy> innermost_entry(Address traceback) {
    const std::int32_t size = std::max(layout_.traceback.tb_lineno.offset, layout_.traceback.tb_next.offset) +
                              static_cast<std::int32_t>(word);
    std::unordered_set<Address> seen;
    for (;;) {
      Result<StructCopy> entry = StructCopy::read(reading_.memory, traceback, size);
      if (!entry) return entry;
      const std::optional<Address> next = entry->pointer(layout_.traceback.tb_next);
      if (!next || next->is_null()) return entry;
      if (seen.size() >= max_traceback || !seen.insert(traceback).second)
        return Error{ErrorCode::corrupt, "a traceback without an end", ""};
      traceback = *next;
    }
  }

  Result<Address> code_of_frame(Address frame) {
    if (!layout_.frame_object.f_frame.exists()) return pointer_at(frame, layout_.frame_object.f_code);
    const Result<Address> inner = pointer_at(frame, layout_.frame_object.f_frame);
    if (!inner) return inner;
    const Result<Address> executable = pointer_at(*inner, layout_.interpreter_frame.f_executable);
    if (!executable) return executable;
    return referred_object(layout_, executable->value).value_or(Address());
  }

  void read_raised_at(Address exception, PyException& into) {
    const Result<Address> traceback = pointer_at(exception, layout_.base_exception.traceback);
    if (!traceback || traceback->is_null()) return;
    const Result<std::string> type = type_name_of(*traceback);
    if (!type || *type != "traceback") return;
    const Result<StructCopy> entry = innermost_entry(*traceback);
    if (!entry) return;
    const std::optional<Address> frame = entry->pointer(layout_.traceback.tb_frame);
    if (!frame) return;
    const Result<Address> code_at = code_of_frame(*frame);
    // While held the code object itself is left alone: it outlives the stop.
    if (!code_at || code_at->is_null() || reading_.held) return;
    const Result<std::shared_ptr<const Code>> code = read_code(reading_, *code_at);
    if (!code) return;
    into.raised_at_file = (*code)->file;
    const std::int32_t line = entry->get(layout_.traceback.tb_lineno).value_or(-1);
    if (line > 0) {
      into.raised_at_line = line;
      return;
    }
    // -1: not computed yet (3.12 on).
    const std::optional<std::int32_t> lasti = entry->get(layout_.traceback.tb_lasti);
    if (!lasti) return;
    into.raised_at_line =
        find_position(layout_.line_table, (*code)->line_table, (*code)->first_line, *lasti).line;
  }

  Result<std::string> type_name_of(Address object) {
    const Result<Address> type = type_of(layout_, reading_.memory, object);
    if (!type) return type.error();
    return type_name(layout_, reading_.memory, *type);
  }

  Reading& reading_;
  const RuntimeLayout& layout_;
};

}  // namespace

void fetch_exceptions(Reading& reading, const RuntimeCopy& copy) {
  std::vector<attach::Range> wave;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      const std::optional<Address> item = thread.tstate.pointer(reading.layout().thread_state.exc_info);
      if (item && !item->is_null()) wave.push_back({*item, stack_item_bytes});
    }
  }
  reading.memory.prefetch(wave);
  ExceptionReader reader(reading);
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) static_cast<void>(reader.read(thread.tstate));
  }
}

void read_exceptions(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  ExceptionReader reader(reading);
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), state.interpreters[i].threads.size()); ++j) {
      PyThread& thread = state.interpreters[i].threads[j];
      Result<std::optional<PyException>> exception = reader.read(threads[j].tstate);
      if (exception) {
        thread.exception = *std::move(exception);
      } else {
        thread.gaps.push_back("the exception being handled could not be read: " + exception.error().message);
      }
    }
  }
}

}  // namespace pythreads::pyframes
