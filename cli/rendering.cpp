#include "cli/rendering.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "cli/output.h"
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

attach::Result<void> print_document(const report::Document& document, const Options& options) {
  std::string text;
  if (options.format == Format::json) {
    text = report::render_json(document);
  } else {
    text = report::render_text(document, {.color = wants_color(options),
                                          .native = options.native,
                                          .locals = options.locals,
                                          .explain = options.explain,
                                          .full = options.full,
                                          .group = options.group,
                                          .only_blocked = options.only_blocked});
  }
  return options.output.empty() ? write_standard_output(text) : write_file(options.output, text);
}

}  // namespace pythreads::cli
