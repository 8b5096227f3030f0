#include "cli/failure.h"

#include <cstdio>
#include <string>
#include <utility>

#include "attach/attachment.h"
#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/text.h"

namespace pythreads::cli {

report::document::Failure as_failure(std::optional<pid_t> pid, const attach::Error& error) {
  report::document::Failure failure;
  if (pid) failure.pid = *pid;
  failure.code = attach::error_code_name(error.code);
  failure.exit = static_cast<int>(exit_code(error.code));
  failure.message = report::escaped(error.message);
  if (!error.hint.empty()) failure.hint = report::escaped(error.hint);
  return failure;
}

void print_error(const attach::Error& error) {
  std::string text = "pythreads: " + report::escaped(error.message) + "\n";
  if (!error.hint.empty()) text += "hint: " + report::escaped(error.hint) + "\n";
  std::fputs(text.c_str(), stderr);
}

report::Document failure_document(report::document::Failure failure) {
  report::DocumentSource source;
  source.tool_version = PYTHREADS_VERSION;
  source.host = attach::read_host();
  source.captured_at = std::chrono::system_clock::now();
  source.errors.push_back(std::move(failure));
  return report::compose({}, report::analyse({}), source);
}

}  // namespace pythreads::cli
