// Where the result goes: standard output, or a file that appears whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "attach/result.h"
#include "attach/scoped_fd.h"

namespace pythreads::cli {

// Written piece by piece. A file is a new one beside `path` (0600, O_EXCL), renamed over it by `finish`; a
// link at `path` is replaced, never followed. A closed pipe is an error like any other: SIGPIPE is ignored.
class Output {
 public:
  // An empty path: standard output.
  explicit Output(const std::string& path);
  // An unfinished file goes away.
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // After a failure nothing more is written.
  void write(std::string_view text);
  bool has_failed() const { return !done_; }
  // All of it was written and the file is in its place, or ErrorCode::output_failed.
  attach::Result<void> finish();

 private:
  std::string path_, unfinished_;  // empty: standard output
  attach::ScopedFd file_;
  attach::Result<void> done_;
};

attach::Result<void> write_standard_output(std::string_view text);
attach::Result<void> write_file(const std::string& path, std::string_view text);

// At most `limit` bytes of a file, or of standard input for "-".
attach::Result<std::string> read_input(const std::string& path, std::size_t limit);

}  // namespace pythreads::cli
