// The same graph in the two languages that draw it.
#include <map>

#include "report/render/graph.h"
#include "report/render/graph_model.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

namespace doc = document;

constexpr std::size_t label_length = 120;  // of one line of a label

std::string shortened(std::string_view text) {
  std::string safe = escaped(text);
  if (safe.size() <= label_length) return safe;
  std::size_t cut = label_length;
  while (cut > 0 && (static_cast<unsigned char>(safe[cut]) & 0xC0U) == 0x80U) --cut;
  return safe.substr(0, cut) + "…";
}

// A quoted ID: only the quote and the backslash mean something (and \n, \l, \r in a label).
std::string dot_text(std::string_view text) {
  std::string quoted;
  for (const char c : shortened(text)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

// Inside quotes Mermaid reads entity codes, and Markdown where a text begins with a backtick.
std::string mermaid_text(std::string_view text) {
  std::string quoted;
  for (const char c : shortened(text)) {
    switch (c) {
      case '"':
      case '#':
      case '&':
      case '<':
      case '>':
      case '`':
      case '\\':
      case ';':
      case '|':
      case '{':
      case '}':
      case '[':
      case ']':
        quoted += '#' + std::to_string(static_cast<int>(static_cast<unsigned char>(c))) + ';';
        break;
      default:
        quoted += c;
    }
  }
  return quoted;
}

std::string thread_state(const doc::Thread& thread) {
  std::string text(word(thread.status));
  if (thread.wait) text += ": " + thread.wait->kind;
  return text;
}

std::string edge_words(const GraphEdge& edge) {
  std::string text = edge.wait ? "waits" : edge.any_of ? "one of these" : "held by";
  if (edge.certainty != Certainty::certain) text += " [" + std::string(word(edge.certainty)) + ']';
  return text;
}

// Names of nodes that no text of the target has a part in.
class Names {
 public:
  std::string of(const doc::Node& node) {
    const auto [found, added] = threads_.try_emplace(node, threads_.size() + 1);
    return "t" + std::to_string(found->second);
  }
  std::string of(const std::string& resource) {
    const auto [found, added] = resources_.try_emplace(resource, resources_.size() + 1);
    return "r" + std::to_string(found->second);
  }

 private:
  std::map<doc::Node, std::size_t> threads_;
  std::map<std::string, std::size_t> resources_;
};

}  // namespace

std::string render_dot(const Document& document) {
  const DocumentIndex index(document);
  Names names;
  std::string out =
      "digraph waits {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", "
      "fontsize=10];\n";
  out += "  label=\"" +
         dot_text(std::string(word(document.findings.verdict)) + ": " + document.findings.summary) +
         "\";\n  labelloc=t;\n";
  for (const doc::Process& process : document.processes) {
    const GraphModel model = model_of(document, process, index);
    out += "  subgraph cluster_" + std::to_string(process.pid) + " {\n    label=\"process " +
           std::to_string(process.pid) + "\";\n    style=dotted;\n";
    for (const GraphThread& each : model.threads) {
      out += "    " + names.of(each.node) + " [shape=box, label=\"" + dot_text(thread_label(*each.thread)) +
             "\\n" + dot_text(thread_state(*each.thread)) + '"' +
             (each.in_cause ? ", color=red, penwidth=3, style=bold" : "") + "];\n";
    }
    for (const GraphResource& each : model.resources) {
      out += "    " + names.of(each.resource->id) + " [shape=ellipse, label=\"" +
             dot_text(resource_label(*each.resource)) + '"' +
             (each.in_cause ? ", color=red, penwidth=3, style=bold" : "") + "];\n";
    }
    if (model.left_out > 0) {
      out += "    more_" + std::to_string(process.pid) + " [shape=plaintext, label=\"" +
             std::to_string(model.left_out) + " more threads wait for the same\"];\n";
    }
    out += "  }\n";
    for (const GraphEdge& edge : model.edges) {
      const std::string thread = names.of(edge.thread), resource = names.of(edge.resource);
      out += "  " + (edge.wait ? thread + " -> " + resource : resource + " -> " + thread) + " [label=\"" +
             dot_text(edge_words(edge)) + (edge.label.empty() ? "" : "\\n" + dot_text(edge.label)) + '"';
      if (edge.in_cause) out += ", color=red, penwidth=3";
      if (edge.any_of) out += ", style=dashed";
      out += "];\n";
    }
  }
  return out + "}\n";
}

std::string render_mermaid(const Document& document) {
  const DocumentIndex index(document);
  Names names;
  std::string out = "flowchart LR\n";
  std::string marked;
  std::size_t edges = 0;
  std::string thick;
  for (const doc::Process& process : document.processes) {
    const GraphModel model = model_of(document, process, index);
    out +=
        "  subgraph p" + std::to_string(process.pid) + "[\"process " + std::to_string(process.pid) + "\"]\n";
    for (const GraphThread& each : model.threads) {
      const std::string name = names.of(each.node);
      out += "    " + name + "[\"" + mermaid_text(thread_label(*each.thread)) + "<br/>" +
             mermaid_text(thread_state(*each.thread)) + "\"]\n";
      if (each.in_cause) marked += (marked.empty() ? "" : ",") + name;
    }
    for (const GraphResource& each : model.resources) {
      const std::string name = names.of(each.resource->id);
      out += "    " + name + "([\"" + mermaid_text(resource_label(*each.resource)) + "\"])\n";
      if (each.in_cause) marked += (marked.empty() ? "" : ",") + name;
    }
    if (model.left_out > 0) {
      out += "    more" + std::to_string(process.pid) + "[\"" + std::to_string(model.left_out) +
             " more threads wait for the same\"]\n";
    }
    out += "  end\n";
    for (const GraphEdge& edge : model.edges) {
      const std::string thread = names.of(edge.thread), resource = names.of(edge.resource);
      const std::string arrow = edge.any_of ? "-.->" : edge.in_cause ? "==>" : "-->";
      const std::string label =
          mermaid_text(edge_words(edge)) + (edge.label.empty() ? "" : "<br/>" + mermaid_text(edge.label));
      out += "  " + (edge.wait ? thread : resource) + ' ' + arrow + "|\"" + label + "\"| " +
             (edge.wait ? resource : thread) + '\n';
      if (edge.in_cause) thick += (thick.empty() ? "" : ",") + std::to_string(edges);
      ++edges;
    }
  }
  if (!marked.empty()) out += "  classDef cause stroke:#c00,stroke-width:4px\n  class " + marked + " cause\n";
  if (!thick.empty()) out += "  linkStyle " + thick + " stroke:#c00,stroke-width:4px\n";
  return out;
}

}  // namespace pythreads::report
