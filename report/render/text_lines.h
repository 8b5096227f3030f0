// The text as it grows: whole lines, each escaped as it is added, so that nothing of the target's reaches a
// terminal as a command; what has grown large goes on to the sink. And the words in which the parts of the
// text speak of threads and locks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "report/document.h"
#include "report/render/text.h"

namespace pythreads::report {

// A colour says one thing: red is in what is wrong, yellow is blocked, cyan waits for the outside, green
// runs, and what is dim is idle or in the background.
enum class Tint { none, bold, dim, red, yellow, green, cyan };

Tint tint_of(Status status);

class TextLines {
 public:
  explicit TextLines(const Style& style) : style_(style) {}
  TextLines(const Style& style, const Sink& sink) : style_(style), sink_(&sink) {}

  // Broken where it is longer than the terminal is wide.
  void add(std::string_view line, Tint tint = Tint::none);
  // One line whatever its length: of faulthandler's grammar.
  void add_whole(std::string_view line, Tint tint = Tint::none);
  void add_blank();
  // As it is: lines that another TextLines has made.
  void add_lines(std::string_view lines) { text_ += lines; }
  // What is left, to the sink. REQUIRES: it has one.
  void flush();

  const Style& style() const { return style_; }
  // REQUIRES: it has no sink.
  std::string take() { return std::move(text_); }

 private:
  void add_safe(std::string_view safe, Tint tint);

  const Style& style_;
  const Sink* sink_ = nullptr;
  std::string text_;
};

// Threads and resources of the whole document by what refers to them.
class DocumentIndex {
 public:
  explicit DocumentIndex(const Document& document);

  const document::Thread* thread(const document::Node& node) const;
  const document::Resource* resource(const std::optional<std::string>& id) const;

 private:
  std::map<document::Node, const document::Thread*> threads_;
  std::map<std::string, const document::Resource*, std::less<>> resources_;
};

// "\"worker\" (tid 12)"
std::string thread_label(const document::Thread& thread);
std::string node_label(const DocumentIndex& index, const document::Node& node);

// "bank.lock (RLock 0x7f…)", "RLock 0x7f…", "the GIL", "the import of plugins (ModuleLock 0x7f…)"
std::string resource_label(const document::Resource& resource);

// "bank.py:21 in transfer"
std::string place_label(const std::optional<std::string>& file, std::optional<document::Number> line,
                        const std::optional<std::string>& function);
// Of the innermost Python frame that is the program's own; empty without one.
std::string place_label(const document::Thread& thread);

// "for 12 s more at most", "with a time limit". REQUIRES: it has one.
std::string limit_words(const document::Wait& wait);

std::string hex(std::uint64_t value);
std::string plural(std::size_t count, std::string_view one, std::string_view many);

// The parts of the text, in their order (text_verdict.cpp, text_threads.cpp).
void add_verdict(const Document& document, const DocumentIndex& index, TextLines& lines);
void add_threads(const Document& document, const document::Process& process, const DocumentIndex& index,
                 TextLines& lines);

}  // namespace pythreads::report
