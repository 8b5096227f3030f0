#include <string>

#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/rendering.h"
#include "report/render/json.h"
#include "report/render/text.h"

namespace pythreads::cli {
namespace {

// 100,000 threads with deep stacks stay below it.
constexpr std::size_t kLargestDump = std::size_t{1} << 30;

attach::Result<void> show(const std::string& file, const Options& options) {
  Progress progress;
  progress.tell("reading " + (file == "-" ? "standard input" : report::escaped(file)));
  const attach::Result<std::string> text = read_input(file, kLargestDump);
  if (!text) return text.error();
  const attach::Result<report::Document> document = report::parse_json(*text);
  if (!document) return attach::Error(document.error()).within(file == "-" ? "standard input" : file);
  progress.hide();
  return print_document(*document, options);
}

}  // namespace

ExitCode run_show(const Options& options) {
  ExitCode code = ExitCode::done;
  for (const std::string& file : options.files) {
    const attach::Result<void> shown = show(file, options);
    if (shown) continue;
    print_error(shown.error());
    if (options.format == Format::json) {
      static_cast<void>(print_document(failure_document(as_failure({}, shown.error())), options));
    }
    if (code == ExitCode::done) code = exit_code(shown.error().code);
  }
  return code;
}

}  // namespace pythreads::cli
