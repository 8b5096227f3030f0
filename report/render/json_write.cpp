// Written by hand and not through the library's tree: 200 threads of 900 frames are four million values,
// which as a tree take hundreds of MiB, and as text are written in one pass. Numbers are printed so that they
// are read back as the same.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "report/render/document_fields.h"
#include "report/render/json.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

namespace doc = document;

// The lines of ndjson; what they are made of belongs to the document.
struct ProcessLine {
  std::string_view type = "process";
  const std::string& schema;
  doc::Number look;
  const doc::Source& source;
  const doc::Process& process;
};

template <typename Visitor>
void fields(Visitor& visit, const ProcessLine& line) {
  visit("type", line.type);
  visit("schema", line.schema);
  visit("look", line.look);
  visit("source", line.source);
  visit("process", line.process);
}

struct FindingsLine {
  std::string_view type = "findings";
  const std::string& schema;
  doc::Number look;
  const doc::Findings& findings;
  const std::vector<doc::Failure>& errors;
};

template <typename Visitor>
void fields(Visitor& visit, const FindingsLine& line) {
  visit("type", line.type);
  visit("schema", line.schema);
  visit("look", line.look);
  visit("findings", line.findings);
  visit("errors", line.errors);
}

enum class Shape { indented, one_line };

class Writer {
 public:
  explicit Writer(const Sink& sink, Shape shape = Shape::indented)
      : sink_(sink), inline_(shape == Shape::one_line) {
    out_.reserve(piece_size);
  }

  void finish() {
    out_ += '\n';
    give();
  }

  template <typename T>
  void object(const T& from) {
    const bool outer_inline = inline_;
    inline_ = inline_ || doc::one_line<T>;
    const bool outer_first = first_;
    first_ = true;
    out_ += '{';
    ++depth_;
    fields(*this, from);
    --depth_;
    if (!inline_ && !first_) new_line();
    out_ += '}';
    first_ = outer_first;
    inline_ = outer_inline;
  }

  template <typename T>
  void operator()(std::string_view name, const T& value) {
    key(name);
    put(value);
  }

  template <typename A, typename B>
  void either(std::string_view name, const std::optional<A>& value, std::string_view other_name,
              const std::optional<B>& other) {
    if (other) {
      (*this)(other_name, *other);
    } else {
      (*this)(name, value);
    }
  }

 private:
  void give() {
    sink_(out_);
    out_.clear();
  }

  void new_line() {
    if (out_.size() >= piece_size) give();
    out_ += '\n';
    out_.append(depth_, ' ');
  }

  void separate() {
    if (!first_) out_ += inline_ ? ", " : ",";
    first_ = false;
    if (!inline_) {
      new_line();
    } else if (out_.size() >= piece_size) {
      give();
    }
  }

  void key(std::string_view name) {
    separate();
    put(name);
    out_ += ": ";
  }

  // Nearly all text is, and is copied as it is.
  static bool is_plain(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F;
    });
  }

  void put(std::string_view text) {
    out_ += '"';
    if (is_plain(text)) {
      out_ += text;
      out_ += '"';
      return;
    }
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (byte < 0x20 || byte == 0x7F) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", byte);
        out_ += escape;
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const attach::SharedText& text) { put(text.view()); }
  void put(const doc::OptionalText& text) { text ? put(*text) : put(std::monostate()); }
  void put(doc::OptionalPosition value) { value ? put(*value) : put(std::monostate()); }
  void put(bool value) { out_ += value ? "true" : "false"; }
  void put(std::monostate /*nothing*/) { out_ += "null"; }
  void put(doc::Number value) {
    char text[24];
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
  void put(double value) {
    if (!std::isfinite(value)) return put(std::monostate());
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, value);
    out_.append(text, end.ptr);
  }
  void put(doc::Hex value) {
    char text[24];
    out_ += "\"0x";
    out_.append(text, std::to_chars(text, text + sizeof text, value.value, 16).ptr);
    out_ += '"';
  }
  void put(Verdict value) { put(word(value)); }
  void put(Certainty value) { put(word(value)); }
  void put(Status value) { put(word(value)); }

  template <typename T>
  void put(const std::optional<T>& value) {
    put_or_null(value);
  }
  template <typename T>
  void put(const doc::Rare<T>& value) {
    put_or_null(value);
  }
  template <typename Optional>
  void put_or_null(const Optional& value) {
    if (value) {
      put(*value);
    } else {
      out_ += "null";
    }
  }

  // Sorted by name, so that what was read back is written as it was.
  void put(std::vector<doc::Detail> details) {
    std::sort(details.begin(), details.end(),
              [](const doc::Detail& a, const doc::Detail& b) { return a.name < b.name; });
    const bool outer_first = first_;
    const bool outer_inline = inline_;
    first_ = inline_ = true;
    out_ += '{';
    for (const doc::Detail& detail : details) {
      key(detail.name);
      std::visit([&](const auto& value) { put(value); }, detail.value);
    }
    out_ += '}';
    first_ = outer_first;
    inline_ = outer_inline;
  }

  template <typename T>
  void put(const std::vector<T>& list) {
    const bool outer_first = first_;
    const bool outer_inline = inline_;
    first_ = true;
    // Lists of words and numbers stay on their line.
    inline_ = inline_ || !std::is_class_v<T> || std::is_same_v<T, std::string>;
    out_ += '[';
    ++depth_;
    for (const T& each : list) {
      separate();
      put(each);
    }
    --depth_;
    if (!inline_ && !list.empty()) new_line();
    out_ += ']';
    first_ = outer_first;
    inline_ = outer_inline;
  }

  template <typename T>
  requires requires(Writer& writer, const T& each) { fields(writer, each); }
  void put(const T& each) { object(each); }

  const Sink& sink_;
  std::string out_;  // not yet given to it
  std::size_t depth_ = 0;
  bool first_ = true;
  bool inline_;
};

}  // namespace

void write_json(const Document& document, const Sink& sink) {
  Writer writer(sink);
  writer.object(document);
  writer.finish();
}

void write_json_lines(const Document& document, const Sink& sink) {
  const doc::Number look = document.source.samples;
  Writer writer(sink, Shape::one_line);
  for (const doc::Process& process : document.processes) {
    writer.object(
        ProcessLine{.schema = document.schema, .look = look, .source = document.source, .process = process});
    writer.finish();
  }
  writer.object(FindingsLine{
      .schema = document.schema, .look = look, .findings = document.findings, .errors = document.errors});
  writer.finish();
}

std::string render_json(const Document& document) {
  std::string text;
  write_json(document, [&](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace pythreads::report
