#include <cstdio>

#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/output.h"
#include "cli/rendering.h"

namespace pythreads::cli {

ExitCode end_early(const EarlyEnd& end) {
  if (end.code == ExitCode::done) {
    const attach::Result<void> printed = write_standard_output(end.text);
    return printed ? ExitCode::done : exit_code(printed.error().code);
  }
  const attach::Error error{end.code == ExitCode::wrong_usage || end.code == ExitCode::check_unknown
                                ? attach::ErrorCode::wrong_usage
                                : attach::ErrorCode::internal,
                            end.text, "see pythreads --help"};
  print_error(error);
  if (end.json) {
    static_cast<void>(print_document(failure_document(as_failure({}, error)), {.format = Format::json}));
  }
  return end.code;
}

}  // namespace pythreads::cli
