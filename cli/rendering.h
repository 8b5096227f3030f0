// From a document to where the user wants it: the format, the style and the place that the options ask for.
#pragma once

#include <string>

#include "attach/result.h"
#include "cli/options.h"
#include "cli/output.h"
#include "report/document.h"

namespace pythreads::cli {

// Lines that are no document, where the options want the result.
attach::Result<void> print_lines(const std::string& text, const Options& options);

// One of several that go to the same place; whether it came there is said by `output`.
void write_document(const report::Document& document, const Options& options, Output& output);

attach::Result<void> print_document(const report::Document& document, const Options& options);

}  // namespace pythreads::cli
