#include "pyframes/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "pyframes/hex.h"
#include "pyframes/objects.h"
#include "pyframes/redaction.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_int_digits = 8;  // of 30 bits: 72 decimal digits

// Decimal digits of an int by repeated division; at most max_int_digits limbs, so the square is small.
std::string decimal(std::vector<std::uint32_t> digits, bool negative) {
  std::string text;
  while (!digits.empty()) {
    std::uint64_t rest = 0;
    for (std::size_t i = digits.size(); i-- > 0;) {
      const std::uint64_t part = (rest << 30) + digits[i];
      digits[i] = static_cast<std::uint32_t>(part / 10);
      rest = part % 10;
    }
    text.push_back(static_cast<char>('0' + rest));
    while (!digits.empty() && digits.back() == 0) digits.pop_back();
  }
  if (text.empty()) text = "0";
  if (negative) text.push_back('-');
  std::reverse(text.begin(), text.end());
  return text;
}

std::string hex_digits(std::uint32_t value, int width) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (int shift = (width - 1) * 4; shift >= 0; shift -= 4) text.push_back(digits[(value >> shift) & 0xf]);
  return text;
}

// What would move the cursor, hide text or turn its direction (categories Cc, Cf, Zl, Zp as far as they
// matter to a terminal).
bool is_unprintable(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
         (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe000 && c <= 0xf8ff) || c >= 0xe0000;
}

struct Decoded {
  std::uint32_t code_point;
  std::size_t size;
};

// REQUIRES: valid UTF-8. Bytes that are not are taken one by one.
Decoded decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t first = byte(at);
  const std::size_t size = first < 0x80 ? 1U : first < 0xe0 ? 2U : first < 0xf0 ? 3U : 4U;
  if (size == 1 || at + size > text.size()) return {first, 1};
  std::uint32_t value = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) value = (value << 6) | (byte(at + i) & 0x3f);
  return {value, size};
}

std::string bytes_text(const BytesValue& value) {
  const auto has = [&](char c) {
    return std::find(value.bytes.begin(), value.bytes.end(), static_cast<std::uint8_t>(c)) !=
           value.bytes.end();
  };
  const char quote = has('\'') && !has('"') ? '"' : '\'';
  std::string text = "b";
  text.push_back(quote);
  for (const std::uint8_t byte : value.bytes) {
    const char c = static_cast<char>(byte);
    if (c == quote || c == '\\') {
      text.push_back('\\');
      text.push_back(c);
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte >= 0x7f) {
      text += "\\x" + hex_digits(byte, 2);
    } else {
      text.push_back(c);
    }
  }
  text.push_back(quote);
  return text;
}

class ValueReader {
 public:
  ValueReader(Reading& reading, const ValueLimits& limits)
      : reading_(reading),
        layout_(reading.layout()),
        memory_(reading.memory),
        limits_(limits),
        objects_left_(limits.objects) {}

  std::string read(Address object) {
    std::string text;
    append(text, object, 0);
    if (text.size() > limits_.text) {
      // At the start of a character.
      std::size_t end = limits_.text;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
      text.resize(end);
      text += "…";
    }
    return text;
  }

 private:
  static std::string unreadable(Address object) { return "<unreadable at " + hex(object) + ">"; }

  std::string type_text(Address type) {
    const auto known = reading_.type_names.find(type);
    if (known != reading_.type_names.end()) return known->second;
    Result<std::string> name = qualified_type_name(layout_, memory_, type);
    if (!name) return "";
    reading_.type_names.emplace(type, *name);
    return *std::move(name);
  }

  void append(std::string& text, Address object, std::size_t depth) {
    if (object.is_null()) {
      text += "<null>";
      return;
    }
    if (objects_left_ == 0 || text.size() > limits_.text) {
      text += "…";
      return;
    }
    --objects_left_;
    const Result<Address> type = type_of(layout_, memory_, object);
    if (!type) {
      text += unreadable(object);
      return;
    }
    const std::string name = type_text(*type);
    const Result<std::uint64_t> flags = type_flags(layout_, memory_, *type);
    if (!flags || name.empty()) {
      text += unreadable(object);
      return;
    }
    if (!append_known(text, object, depth, name, *flags)) text += "<" + name + " at " + hex(object) + ">";
  }

  bool append_known(std::string& text, Address object, std::size_t depth, const std::string& name,
                    std::uint64_t flags) {
    if (name == "NoneType") {
      text += "None";
    } else if (name == "ellipsis") {
      text += "Ellipsis";
    } else if (name == "NotImplementedType") {
      text += "NotImplemented";
    } else if ((flags & type_flag::unicode_subclass) != 0) {
      append_str(text, object, name);
    } else if ((flags & type_flag::bytes_subclass) != 0) {
      append_bytes(text, object);
    } else if ((flags & type_flag::long_subclass) != 0) {
      append_int(text, object, name);
    } else if (name == "float") {
      const Result<double> value = read_float(layout_, memory_, object);
      text += value ? float_text(*value) : unreadable(object);
    } else if ((flags & type_flag::list_subclass) != 0) {
      const Result<Items> items = read_list(layout_, memory_, object, limits_.items);
      append_items(text, object, depth, name == "list" ? "" : name, items, "[", "]");
    } else if ((flags & type_flag::tuple_subclass) != 0) {
      const Result<Items> items = read_tuple(layout_, memory_, object, limits_.items);
      const bool one = items && items->length == 1;
      append_items(text, object, depth, name == "tuple" ? "" : name, items, "(", one ? ",)" : ")");
    } else if (name == "set" || name == "frozenset") {
      const Result<Items> items = read_set(layout_, memory_, object, limits_.items);
      if (items && items->length == 0) {
        text += name + "()";
      } else if (name == "set") {
        append_items(text, object, depth, "", items, "{", "}");
      } else {
        append_items(text, object, depth, name, items, "({", "})");
      }
    } else if ((flags & type_flag::dict_subclass) != 0) {
      append_dict(text, object, depth, name == "dict" ? "" : name);
    } else if ((flags & type_flag::type_subclass) != 0) {
      const std::string class_name = type_text(object);
      text += class_name.empty() ? unreadable(object) : "<class '" + class_name + "'>";
    } else if (name == "function") {
      append_named(text, object, name, layout_.function.func_qualname);
    } else if (name == "module") {
      append_named(text, object, name, layout_.module.md_name);
    } else {
      return false;
    }
    return true;
  }

  std::string shown(std::string plain) const {
    return reading_.options.redact ? redact_text(plain) : std::move(plain);
  }

  void append_str(std::string& text, Address object, const std::string& name) {
    const Result<StrValue> value = read_str(layout_, memory_, object, limits_.characters);
    if (!value) {
      text += unreadable(object);
      return;
    }
    if (name != "str") text += name + "(";
    text += quoted(shown(value->text));
    if (value->cut) text += "… " + std::to_string(value->length) + " characters";
    if (name != "str") text += ")";
  }

  void append_bytes(std::string& text, Address object) {
    Result<BytesValue> value = read_bytes(layout_, memory_, object, limits_.characters);
    if (!value) {
      text += unreadable(object);
      return;
    }
    const std::string plain = shown(std::string(value->bytes.begin(), value->bytes.end()));
    value->bytes.assign(plain.begin(), plain.end());
    text += bytes_text(*value);
    if (value->cut) text += "… " + std::to_string(value->length) + " bytes";
  }

  void append_int(std::string& text, Address object, const std::string& name) {
    Result<IntValue> value = read_int(layout_, memory_, object, max_int_digits);
    if (!value) {
      text += unreadable(object);
    } else if (name == "bool") {
      text += value->as_int64() == 0 ? "False" : "True";
    } else if (value->cut) {
      text += "<" + name + " of about " + std::to_string(value->length * 30) + " bits>";
    } else {
      const std::string number = decimal(std::move(value->digits), value->negative);
      text += name == "int" ? number : name + "(" + number + ")";
    }
  }

  void append_named(std::string& text, Address object, const std::string& kind, PointerField field) {
    if (field.exists()) {
      const Result<Address> at = memory_.read_address(object + static_cast<std::uint64_t>(field.offset));
      const Result<std::uint64_t> flags =
          at && !at->is_null() ? object_flags(layout_, memory_, *at) : Result<std::uint64_t>(0);
      if (flags && (*flags & type_flag::unicode_subclass) != 0) {
        const Result<StrValue> name = read_str(layout_, memory_, *at, max_name_length);
        if (name) {
          text += "<" + kind + " " + name->text + " at " + hex(object) + ">";
          return;
        }
      }
    }
    text += "<" + kind + " at " + hex(object) + ">";
  }

  // Whether the object's content is to be left out: too deep, or it is inside of itself.
  bool left_out(std::string& text, Address object, std::size_t depth, std::string_view open,
                std::string_view close) {
    const bool inside = std::find(open_.begin(), open_.end(), object) != open_.end();
    if (depth < limits_.depth && !inside) return false;
    text += std::string(open) + "…" + std::string(close);
    return true;
  }

  void append_more(std::string& text, std::uint64_t length, std::size_t count) {
    if (length <= count) return;
    if (count > 0) text += ", ";
    text += "… " + std::to_string(length - count) + " more";
  }

  void append_items(std::string& text, Address object, std::size_t depth, std::string_view prefix,
                    const Result<Items>& items, std::string_view open, std::string_view close) {
    if (!items) {
      text += unreadable(object);
      return;
    }
    text += prefix;
    if (!items->items.empty() && left_out(text, object, depth, open, close)) return;
    text += open;
    open_.push_back(object);
    std::size_t count = 0;
    for (const Address item : items->items) {
      if (count++ > 0) text += ", ";
      append(text, item, depth + 1);
    }
    open_.pop_back();
    append_more(text, items->length, count);
    text += close;
  }

  void append_dict(std::string& text, Address object, std::size_t depth, const std::string& prefix) {
    const Result<DictItems> items = read_dict(layout_, memory_, object, limits_.items);
    if (!items) {
      text += unreadable(object);
      return;
    }
    text += prefix;
    if (!prefix.empty()) text += "(";
    if (items->entries.empty() || !left_out(text, object, depth, "{", "}")) {
      text += "{";
      open_.push_back(object);
      std::size_t count = 0;
      for (const DictEntry& entry : items->entries) {
        if (count++ > 0) text += ", ";
        append(text, entry.key, depth + 1);
        text += ": ";
        if (reading_.options.redact && is_secret_key(entry.key)) {
          text += redacted_text;
        } else {
          append(text, entry.value, depth + 1);
        }
      }
      open_.pop_back();
      append_more(text, items->length, count);
      text += "}";
    }
    if (!prefix.empty()) text += ")";
  }

  bool is_secret_key(Address key) {
    const Result<std::uint64_t> flags = object_flags(layout_, memory_, key);
    if (!flags) return false;
    if ((*flags & type_flag::unicode_subclass) != 0) {
      const Result<StrValue> name = read_str(layout_, memory_, key, max_name_length);
      return name && is_secret_name(name->text);
    }
    if ((*flags & type_flag::bytes_subclass) != 0) {
      const Result<BytesValue> name = read_bytes(layout_, memory_, key, max_name_length);
      return name && is_secret_name(std::string(name->bytes.begin(), name->bytes.end()));
    }
    return false;
  }

  Reading& reading_;
  const RuntimeLayout& layout_;
  attach::Memory& memory_;
  const ValueLimits& limits_;
  std::size_t objects_left_;
  std::vector<Address> open_;  // the containers that we are inside of
};

}  // namespace

PyValue read_value(Reading& reading, Address object, const ValueLimits& limits) {
  return PyValue{ValueReader(reading, limits).read(object), false};
}

PyValue redacted_value() {
  return PyValue{std::string(redacted_text), true};
}

std::string quoted(std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t i = 0; i < text.size();) {
    const Decoded c = decode(text, i);
    if (c.code_point == static_cast<unsigned char>(quote) || c.code_point == '\\') {
      out.push_back('\\');
      out.push_back(text[i]);
    } else if (c.code_point == '\n') {
      out += "\\n";
    } else if (c.code_point == '\r') {
      out += "\\r";
    } else if (c.code_point == '\t') {
      out += "\\t";
    } else if (is_unprintable(c.code_point)) {
      if (c.code_point <= 0xff) {
        out += "\\x" + hex_digits(c.code_point, 2);
      } else if (c.code_point <= 0xffff) {
        out += "\\u" + hex_digits(c.code_point, 4);
      } else {
        out += "\\U" + hex_digits(c.code_point, 8);
      }
    } else {
      out += text.substr(i, c.size);
    }
    i += c.size;
  }
  out.push_back(quote);
  return out;
}

// The shortest digits that read back the same; an exponent below -4 and from 16 on (Python/pystrtod.c, 'r').
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const std::to_chars_result end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view scientific(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = scientific.find('e');
  std::string_view mantissa = scientific.substr(0, e);
  const bool negative = mantissa.starts_with('-');
  if (negative) mantissa.remove_prefix(1);
  std::string digits;
  for (const char c : mantissa) {
    if (c != '.') digits.push_back(c);
  }
  std::string_view exponent_text = scientific.substr(e + 1);
  if (exponent_text.starts_with('+')) exponent_text.remove_prefix(1);
  int exponent = 0;
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);

  std::string text;
  if (exponent < -4 || exponent >= 16) {
    text = digits.substr(0, 1);
    if (digits.size() > 1) text += "." + digits.substr(1);
    const std::string power = std::to_string(std::abs(exponent));
    text += std::string("e") + (exponent < 0 ? "-" : "+") + (power.size() < 2 ? "0" : "") + power;
  } else if (exponent < 0) {
    text = "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  } else {
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() <= whole) {
      text = digits + std::string(whole - digits.size(), '0') + ".0";
    } else {
      text = digits.substr(0, whole) + "." + digits.substr(whole);
    }
  }
  return negative ? "-" + text : text;
}

}  // namespace pythreads::pyframes
