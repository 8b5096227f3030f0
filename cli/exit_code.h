// The exit codes: the BSD sysexits where one fits (sysexits.h), and those of monitoring plugins for `check`,
// which ends with no other; one table.
#pragma once

#include "attach/result.h"

namespace pythreads::cli {

enum class ExitCode : int {
  done = 0,  // check: OK
  check_warning = 1,
  check_critical = 2,
  check_unknown = 3,
  wrong_usage = 64,      // EX_USAGE
  not_python = 65,       // EX_DATAERR: no CPython in it, or a file that is no dump
  no_such_input = 66,    // EX_NOINPUT: no such process or file, or it ended while it was read
  unsupported = 69,      // EX_UNAVAILABLE
  internal = 70,         // EX_SOFTWARE
  output_failed = 74,    // EX_IOERR
  deadline_passed = 75,  // EX_TEMPFAIL
  not_permitted = 77,    // EX_NOPERM
};

ExitCode exit_code(attach::ErrorCode code);

}  // namespace pythreads::cli
