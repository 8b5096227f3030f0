#include "report/render/text.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "report/render/text_lines.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

namespace doc = document;

constexpr std::size_t gaps_shown = 10;       // lines
constexpr std::size_t gap_places_shown = 4;  // in one line, behind the first
constexpr std::size_t command_length = 200;

std::string milliseconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f ms" : "%.0f ms", value);
  return text;
}

// What is missing of many threads for one reason stands in one line.
struct GapLine {
  const doc::Gap* first = nullptr;
  std::vector<const doc::Gap*> others;
};

std::string line_of(const GapLine& gap) {
  std::string line = "  missing: " + gap.first->where;
  for (std::size_t i = 0; i < std::min(gap.others.size(), gap_places_shown); ++i) {
    line += ", " + gap.others[i]->where;
  }
  if (gap.others.size() > gap_places_shown) {
    line += " and " + std::to_string(gap.others.size() - gap_places_shown) + " more";
  }
  return line + ": " + gap.first->reason;
}

void add_gaps(const doc::Process& process, TextLines& lines) {
  std::vector<GapLine> gaps;
  std::unordered_map<std::string_view, std::size_t> by_reason;
  for (const doc::Gap& gap : process.gaps) {
    const auto [known, is_new] = by_reason.try_emplace(gap.reason, gaps.size());
    if (is_new) {
      gaps.push_back({&gap, {}});
    } else {
      gaps[known->second].others.push_back(&gap);
    }
  }
  const std::size_t shown = lines.style().full ? gaps.size() : std::min(gaps.size(), gaps_shown);
  for (std::size_t i = 0; i < shown; ++i) lines.add(line_of(gaps[i]));
  if (shown < gaps.size()) {
    lines.add("  missing: " + std::to_string(gaps.size() - shown) + " more, --full shows them");
  }
}

std::string command_line(const doc::Process& process) {
  if (!process.command) return "(command line not readable)";
  std::string line;
  for (const std::string& argument : *process.command) line += (line.empty() ? "" : " ") + argument;
  if (line.size() <= command_length) return line;
  std::size_t cut = command_length;
  while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0U) == 0x80U) --cut;
  return line.substr(0, cut) + "…";
}

void add_header(const Document& document, const doc::Process& process, TextLines& lines) {
  std::string line = "Process " + std::to_string(process.pid);
  if (process.namespace_pids && process.namespace_pids->size() > 1) {
    line += " (" + std::to_string(process.namespace_pids->back()) + " in its pid namespace)";
  }
  if (process.python) {
    line += ": Python " + process.python->version;
    if (process.python->free_threaded.value_or(false)) line += " free-threaded";
    if (process.python->debug.value_or(false)) line += " debug";
  }
  line += ", " + plural(process.threads.size(), "thread", "threads");
  if (process.state != "running") line += ", " + process.state;
  line += process.pause_ms ? ", held for " + milliseconds(*process.pause_ms) : ", not held";
  line += " at " + process.captured_at + ": " + command_line(process);
  lines.add(line, Tint::bold);
  if (document.processes.size() > 1) {
    lines.add("  " + std::string(word(process.verdict)) + ": " + process.summary);
  }
}

// What the thread's program sees of the stop.
std::string words_of_effect(const std::string& effect) {
  if (effect == "short") {
    return "the call returned fewer bytes than it would have, and a caller that ignores the count loses the "
           "rest";
  }
  if (effect == "EINTR") return "the call failed with EINTR though no signal came";
  return effect;
}

void add_notes(const Document& document, const doc::Process& process, TextLines& lines) {
  if (process.python && process.python->layout == "extrapolated") {
    lines.add(
        "  note: this CPython is newer than any that was tried; its layout is extrapolated from what it says "
        "of itself");
  }
  if (document.source.kind == "live" && !process.pause_ms) {
    lines.add("  note: it was not held while it was read, so facts may disagree");
  }
  for (const doc::DisturbedCall& call : document.source.disturbed) {
    const bool own = std::any_of(process.threads.begin(), process.threads.end(),
                                 [&](const doc::Thread& thread) { return thread.tid == call.tid; });
    if (own) {
      lines.add("  note: the stop disturbed thread " + std::to_string(call.tid) + " in " + call.syscall +
                ": " + words_of_effect(call.effect));
    }
  }
  for (const doc::Interpreter& interpreter : process.interpreters) {
    if (interpreter.stop_the_world && interpreter.stop_the_world->requested) {
      const std::optional<doc::Number>& by = interpreter.stop_the_world->requester;
      lines.add("  note: interpreter " + std::to_string(interpreter.id) + " stops the world" +
                (by ? " for thread " + std::to_string(*by) : ""));
    }
    if (interpreter.gc && interpreter.gc->collecting && !interpreter.gc->thread) {
      lines.add("  note: interpreter " + std::to_string(interpreter.id) + " collects garbage");
    }
  }
  add_gaps(process, lines);
}

void add_errors(const Document& document, TextLines& lines) {
  if (document.errors.empty()) return;
  lines.add_blank();
  for (const doc::Failure& failure : document.errors) {
    std::string line = failure.pid ? "Not read: process " + std::to_string(*failure.pid) : "Not read";
    line += ": " + failure.message;
    if (failure.hint) line += " (" + *failure.hint + ')';
    lines.add(line, Tint::yellow);
  }
}

}  // namespace

void write_text(const Document& document, const Style& style, const Sink& sink) {
  TextLines lines(style, sink);
  const DocumentIndex index(document);
  add_verdict(document, index, lines);
  for (const doc::Process& process : document.processes) {
    if (&process != &document.processes.front()) lines.add_blank();
    add_header(document, process, lines);
    add_notes(document, process, lines);
    add_threads(document, process, index, lines);
  }
  add_errors(document, lines);
  lines.flush();
}

std::string render_text(const Document& document, const Style& style) {
  std::string text;
  write_text(document, style, [&](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace pythreads::report
