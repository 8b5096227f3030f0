// The document as JSON, pythreads-json(5), and back.
#pragma once

#include <string>
#include <string_view>

#include "attach/result.h"
#include "report/document.h"
#include "report/render/sink.h"

namespace pythreads::report {

// One object and a final newline. Short objects (frames, edges, evidence) stand on one line each, so that a
// person can read it and diff(1) says something.
void write_json(const Document& document, const Sink& sink);
std::string render_json(const Document& document);

// One look at a time, for a program that reads line by line: a line for each process, then one with the
// findings and the errors. Which look it is, is said by the document's `source.samples`.
void write_json_lines(const Document& document, const Sink& sink);

// `text` comes from a file that anybody may have written: its size, its depth and the number of its values
// are bounded, and every field must have its type. Unknown fields are accepted and dropped, as are unknown
// words of open lists; a missing field or an unknown word of a closed list is an error. ErrorCodes:
// not_python (no dump of ours), unsupported (a dump of a newer schema).
attach::Result<Document> parse_json(std::string_view text);

}  // namespace pythreads::report
