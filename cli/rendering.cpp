#include "cli/rendering.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "cli/output.h"
#include "report/render/graph.h"
#include "report/render/json.h"
#include "report/render/text.h"

namespace pythreads::cli {
namespace {

// NO_COLOR, no-color.org: any value but the empty one.
bool wants_color(const Options& options) {
  if (options.color != ColorMode::automatic) return options.color == ColorMode::always;
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  return options.output.empty() && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace

attach::Result<void> print_lines(const std::string& text, const Options& options) {
  return options.output.empty() ? write_standard_output(text) : write_file(options.output, text);
}

attach::Result<void> print_document(const report::Document& document, const Options& options) {
  const report::Style style{.color = wants_color(options),
                            .native = options.native,
                            .locals = options.locals,
                            .explain = options.explain,
                            .full = options.full,
                            .group = options.group,
                            .only_blocked = options.only_blocked};
  switch (options.format) {
    case Format::json:
      return print_lines(report::render_json(document), options);
    case Format::dot:
      return print_lines(report::render_dot(document), options);
    case Format::mermaid:
      return print_lines(report::render_mermaid(document), options);
    case Format::text:
      break;
  }
  const bool graph = options.graph || options.command == Command::graph;
  return print_lines(
      graph ? report::render_graph_text(document, style) : report::render_text(document, style), options);
}

}  // namespace pythreads::cli
