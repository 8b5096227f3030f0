// The wait-for graph alone: threads and resources as nodes, waits and holds as edges. As text, a tree of who
// waits for whom, what the verdict is about first; as Graphviz's dot (graphviz.org/doc/info/lang.html) and as
// a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html). What stands in a cause is marked by form as
// well as by colour. Names come from the target: what would end a label is escaped.
#pragma once

#include <string>

#include "report/document.h"
#include "report/render/text.h"

namespace pythreads::report {

std::string render_graph_text(const Document& document, const Style& style);
std::string render_dot(const Document& document);
std::string render_mermaid(const Document& document);

}  // namespace pythreads::report
