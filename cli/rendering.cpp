#include "cli/rendering.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "cli/output.h"
#include "cli/terminal.h"
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
  return options.output.empty() && is_capable_terminal(STDOUT_FILENO);
}

}  // namespace

attach::Result<void> print_lines(const std::string& text, const Options& options) {
  return write_file(options.output, text);
}

void write_document(const report::Document& document, const Options& options, Output& output) {
  const report::Style style{.color = wants_color(options),
                            .native = options.native,
                            .locals = options.locals,
                            .explain = options.explain,
                            .full = options.full,
                            .group = options.group,
                            .only_blocked = options.only_blocked,
                            .width = options.output.empty() ? terminal_width(STDOUT_FILENO) : 0};
  const report::Sink sink = [&output](std::string_view piece) { output.write(piece); };
  switch (options.format) {
    case Format::json:
      return report::write_json(document, sink);
    case Format::ndjson:
      return report::write_json_lines(document, sink);
    case Format::dot:
      return sink(report::render_dot(document));
    case Format::mermaid:
      return sink(report::render_mermaid(document));
    case Format::text:
      break;
  }
  if (options.graph || options.command == Command::graph) {
    sink(report::render_graph_text(document, style));
  } else {
    report::write_text(document, style, sink);
  }
}

attach::Result<void> print_document(const report::Document& document, const Options& options) {
  Output output(options.output);
  write_document(document, options, output);
  return output.finish();
}

}  // namespace pythreads::cli
