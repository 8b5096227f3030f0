#include "report/render/text_lines.h"

#include <cstdio>
#include <variant>

#include "report/analysis/shown_names.h"
#include "report/analysis/waiting_modules.h"
#include "report/render/line_layout.h"
#include "report/text_encoding.h"

namespace pythreads::report {
namespace {

// Characters that are no control characters and yet change how a line is shown or where it ends: directions
// and marks (Unicode Standard Annex 9), line and paragraph separators, the byte order mark.
bool is_deceptive(char32_t code) {
  return (code >= 0x80 && code <= 0x9F) || code == 0x61C || (code >= 0x200B && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

std::string_view tint_code(Tint tint) {
  switch (tint) {
    case Tint::none:
      return "";
    case Tint::bold:
      return "\x1b[1m";
    case Tint::dim:
      return "\x1b[2m";
    case Tint::red:
      return "\x1b[1;31m";
    case Tint::yellow:
      return "\x1b[1;33m";
    case Tint::green:
      return "\x1b[1;32m";
    case Tint::cyan:
      return "\x1b[1;36m";
  }
  return "";
}

// Of a ModuleLock, what is being imported.
std::string module_of(const document::Resource& resource) {
  if (resource.kind != "ModuleLock" || !resource.detail) return "";
  for (const document::Detail& each : *resource.detail) {
    const auto* module = std::get_if<std::string>(&each.value);
    if (each.name == "module" && module != nullptr) return *module;
  }
  return "";
}

}  // namespace

std::string escaped(std::string_view text) {
  if (is_printable_ascii(text)) return std::string(text);
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char32_t code = utf8_code_point(text);
    char escape[16] = "";
    if (length == 0) {
      std::snprintf(escape, sizeof escape, "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(text[0])));
    } else if (code == '\n') {
      std::snprintf(escape, sizeof escape, "\\n");
    } else if (code == '\t') {
      std::snprintf(escape, sizeof escape, "\\t");
    } else if (code == '\r') {
      std::snprintf(escape, sizeof escape, "\\r");
    } else if (code < 0x20 || code == 0x7F) {
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(code));
    } else if (is_deceptive(code)) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(code));
    }
    if (escape[0] != '\0') {
      safe += escape;
    } else {
      safe.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return safe;
}

Tint tint_of(Status status) {
  switch (status) {
    case Status::blocked:
      return Tint::yellow;
    case Status::waiting:
      return Tint::cyan;
    case Status::running:
      return Tint::green;
    case Status::idle:
      return Tint::dim;
  }
  return Tint::none;
}

void TextLines::add(std::string_view line, Tint tint) {
  if (style_.width == 0) return add_whole(line, tint);
  const std::string safe = escaped(line);
  if (terminal_columns(safe) <= style_.width) return add_safe(safe, tint);
  for (const std::string& piece : broken_line(safe, style_.width)) add_safe(piece, tint);
}

void TextLines::add_whole(std::string_view line, Tint tint) {
  if (is_printable_ascii(line)) {
    add_safe(line, tint);
  } else {
    add_safe(escaped(line), tint);
  }
}

void TextLines::add_safe(std::string_view safe, Tint tint) {
  const bool tinted = style_.color && tint != Tint::none;
  if (tinted) text_ += tint_code(tint);
  text_ += safe;
  if (tinted) text_ += "\x1b[0m";
  text_ += '\n';
  if (sink_ != nullptr && text_.size() >= piece_size) flush();
}

void TextLines::flush() {
  (*sink_)(text_);
  text_.clear();
}

void TextLines::add_blank() {
  text_ += '\n';
}

DocumentIndex::DocumentIndex(const Document& document) {
  for (const document::Process& process : document.processes) {
    for (const document::Thread& thread : process.threads) {
      if (!thread.tid) continue;
      const auto [found, added] = threads_.try_emplace({process.pid, thread.tid, {}}, &thread);
      // Of several states of one OS thread, the one that waits speaks for it.
      if (!added && thread.wait && thread.wait->resource) found->second = &thread;
    }
    for (const document::Resource& resource : process.resources) {
      resources_.try_emplace(resource.id, &resource);
    }
  }
}

const document::Thread* DocumentIndex::thread(const document::Node& node) const {
  const auto found = threads_.find(node);
  return found == threads_.end() ? nullptr : found->second;
}

const document::Resource* DocumentIndex::resource(const std::optional<std::string>& id) const {
  if (!id) return nullptr;
  const auto found = resources_.find(*id);
  return found == resources_.end() ? nullptr : found->second;
}

std::string thread_label(const document::Thread& thread) {
  const std::string number = thread.tid ? "tid " + std::to_string(*thread.tid) : "no tid";
  const std::optional<std::string>& name = thread.name ? thread.name : thread.os_name;
  return name ? '"' + shortened(*name) + "\" (" + number + ')' : "thread (" + number + ')';
}

std::string node_label(const DocumentIndex& index, const document::Node& node) {
  if (const document::Thread* thread = index.thread(node)) return thread_label(*thread);
  if (node.task) return "task " + *node.task;
  return "thread (tid " + (node.tid ? std::to_string(*node.tid) : "unknown") + ')';
}

std::string resource_label(const document::Resource& resource) {
  if (resource.kind == "GIL") return "the GIL";
  std::string object = resource.kind;
  if (resource.address) object += ' ' + hex(resource.address->value);
  const std::string module = module_of(resource);
  if (!module.empty()) return "the import of " + module + " (" + object + ')';
  return resource.name ? *resource.name + " (" + object + ')' : object;
}

std::string place_label(const std::optional<std::string>& file, std::optional<document::Number> line,
                        const std::optional<std::string>& function) {
  const std::string path = file.value_or("???");
  return path.substr(path.rfind('/') + 1) + ':' + (line ? std::to_string(*line) : "???") + " in " +
         function.value_or("???");
}

std::string place_label(const document::Thread& thread) {
  const document::Frame* innermost = nullptr;
  for (const document::Frame& frame : thread.frames) {
    if (frame.kind != "python") continue;
    if (innermost == nullptr) innermost = &frame;
    if (!is_waiting_module(frame.module.value_or(""))) {
      innermost = &frame;
      break;
    }
  }
  return innermost == nullptr ? "" : place_label(innermost->file, innermost->line, innermost->function);
}

std::string limit_words(const document::Wait& wait) {
  if (!wait.ends_in_ms) return "with a time limit";
  char text[48];
  if (*wait.ends_in_ms < 10'000) {
    std::snprintf(text, sizeof text, "for %.1f s more at most", *wait.ends_in_ms / 1000);
  } else {
    std::snprintf(text, sizeof text, "for %.0f s more at most", *wait.ends_in_ms / 1000);
  }
  return text;
}

std::string hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
}

}  // namespace pythreads::report
