// A failure, told twice: a line for a person on standard error, an entry of `errors[]` for a program.
#pragma once

#include <sys/types.h>

#include <optional>

#include "attach/result.h"
#include "cli/exit_code.h"
#include "report/document.h"

namespace pythreads::cli {

report::document::Failure as_failure(std::optional<pid_t> pid, const attach::Error& error);

// "pythreads: …", and the hint on a line of its own.
void print_error(const attach::Error& error);

// The document of a run that could look at nothing: `processes: []`, verdict `unknown`.
report::Document failure_document(report::document::Failure failure);

}  // namespace pythreads::cli
