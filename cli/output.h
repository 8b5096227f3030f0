// Where the result goes: standard output, or a file that appears whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "attach/result.h"

namespace pythreads::cli {

// All of it, or ErrorCode::output_failed. A closed pipe is an error like any other: SIGPIPE is ignored.
attach::Result<void> write_standard_output(std::string_view text);

// Into a new file beside it (0600, O_EXCL), renamed over `path` at the end; a link at `path` is replaced,
// never followed.
attach::Result<void> write_file(const std::string& path, std::string_view text);

// At most `limit` bytes of a file, or of standard input for "-".
attach::Result<std::string> read_input(const std::string& path, std::size_t limit);

}  // namespace pythreads::cli
