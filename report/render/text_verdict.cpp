// The first lines of the text: what is wrong, who waits for whom, and where.
#include <algorithm>
#include <cctype>

#include "report/render/text_lines.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

constexpr std::size_t cycle_lines = 20;  // a longer cycle shows its first links
constexpr std::size_t names_shown = 5;

Tint tint_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::deadlock:
      return Tint::red;
    case Verdict::possible_deadlock:
    case Verdict::stalled:
      return Tint::yellow;
    case Verdict::unknown:
      return Tint::bold;
    case Verdict::running:
    case Verdict::waiting:
      return Tint::green;
  }
  return Tint::none;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

bool is_cycle(const document::Findings& findings, const document::Cause& cause) {
  return std::find(findings.cycles.begin(), findings.cycles.end(), cause.nodes) != findings.cycles.end();
}

const document::Edge* find_edge(const document::Findings& findings, const document::Node& from,
                                const document::Node& to) {
  for (const document::Edge& edge : findings.edges) {
    if (edge.from == from && edge.to == to) return &edge;
  }
  return nullptr;
}

std::string relation(const document::Edge* edge, const document::Resource* resource,
                     const std::string& other) {
  const std::string_view kind = edge != nullptr ? std::string_view(edge->kind) : std::string_view();
  if (kind == "import") return "which is done by " + other;
  if (kind == "future") return "which is for " + other + " to complete";
  if (resource != nullptr && resource->kind == "Thread") return "which is " + other;
  if (kind == "semaphore") return "a permit of which is held by " + other;
  if (kind == "condition" || kind == "event" || kind == "queue-get" || kind == "queue-put" ||
      kind == "queue-join" || kind == "barrier") {
    return "and would be woken by " + other;
  }
  return "held by " + other;
}

// One link of a cycle: who waits, where, for what, and who has it.
std::vector<std::string> link_sentence(const Document& document, const DocumentIndex& index,
                                       const document::Node& from, const document::Node& to) {
  std::vector<std::string> lines;
  std::string line = "  " + node_label(index, from) + " waits";
  const document::Thread* thread = index.thread(from);
  const std::string place = thread != nullptr ? place_label(*thread) : "";
  if (!place.empty()) line += " at " + place;
  const document::Edge* edge = find_edge(document.findings, from, to);
  const document::Resource* resource = edge != nullptr ? index.resource(edge->resource) : nullptr;
  line += " for " + (resource != nullptr ? resource_label(*resource) : edge != nullptr ? edge->kind : "???");
  line += ",";
  lines.push_back(line);
  line = "    " + relation(edge, resource, from == to ? "itself" : node_label(index, to));
  const document::Thread* owner = index.thread(to);
  if (owner != nullptr && resource != nullptr) {
    for (const document::Hold& hold : owner->holds) {
      if (hold.resource == resource->id && hold.acquired_at && hold.acquired_at->line) {
        line += ", which took it at " +
                place_label(hold.acquired_at->file, hold.acquired_at->line, hold.acquired_at->function);
      }
    }
  }
  if (edge != nullptr && edge->certainty != Certainty::certain) {
    line += " [" + std::string(word(edge->certainty)) + ']';
  }
  if (thread != nullptr && thread->wait && thread->wait->timeout.value_or(false))
    line += ", " + limit_words(*thread->wait);
  lines.push_back(line);
  return lines;
}

std::string names_of(const DocumentIndex& index, const std::vector<document::Node>& nodes) {
  std::string names;
  for (std::size_t i = 0; i < nodes.size() && i < names_shown; ++i) {
    names += (i == 0 ? "" : ", ") + node_label(index, nodes[i]);
  }
  if (nodes.size() > names_shown) names += " and " + std::to_string(nodes.size() - names_shown) + " more";
  return names;
}

void add_cause(const Document& document, const document::Cause& cause, const std::string& lead, Tint tint,
               const DocumentIndex& index, TextLines& lines) {
  // A thread that waits for itself is told better by its sentence, which says how it came to that.
  const bool cycle = cause.nodes.size() > 1 && is_cycle(document.findings, cause);
  std::string line = lead + " (" + std::string(word(cause.certainty)) + ", " + cause.kind + "): ";
  if (cycle) {
    line += plural(cause.nodes.size(), "thread waits", "threads wait") + " for each other in a cycle";
  } else {
    line += cause.sentence;
  }
  if (cause.fingerprint) line += " [" + *cause.fingerprint + ']';
  lines.add(line, tint);
  if (cycle) {
    for (std::size_t i = 0; i < cause.nodes.size() && (i < cycle_lines || lines.style().full); ++i) {
      for (const std::string& each :
           link_sentence(document, index, cause.nodes[i], cause.nodes[(i + 1) % cause.nodes.size()])) {
        lines.add(each);
      }
    }
    if (cause.nodes.size() > cycle_lines && !lines.style().full) {
      lines.add("  and " + std::to_string(cause.nodes.size() - cycle_lines) +
                " more links back to the first");
    }
  }
  if (!cause.behind.empty()) {
    lines.add("  stuck behind: " + names_of(index, cause.behind));
  }
}

}  // namespace

void add_verdict(const Document& document, const DocumentIndex& index, TextLines& lines) {
  const document::Findings& findings = document.findings;
  const std::string lead = "Verdict: " + std::string(word(findings.verdict));
  const Tint tint = tint_of(findings.verdict);
  if (!document.looks.empty()) {
    lines.add("Look " + std::to_string(document.source.samples) + ", at " + document.looks.back().captured_at,
              Tint::bold);
  }
  if (findings.causes.empty()) {
    lines.add(lead + ". " + capitalised(findings.summary) + '.', tint);
  }
  for (std::size_t i = 0; i < findings.causes.size(); ++i) {
    add_cause(document, findings.causes[i], i == 0 ? lead : "Also", i == 0 ? tint : Tint::bold, index, lines);
  }
}

}  // namespace pythreads::report
