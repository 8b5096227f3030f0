#include "cli/exit_code.h"

namespace pythreads::cli {

ExitCode exit_code(attach::ErrorCode code) {
  using attach::ErrorCode;
  switch (code) {
    case ErrorCode::wrong_usage:
      return ExitCode::wrong_usage;
    case ErrorCode::not_python:
    case ErrorCode::corrupt:
      return ExitCode::not_python;
    case ErrorCode::no_such_process:
    case ErrorCode::process_ended:
    case ErrorCode::zombie:
    case ErrorCode::unreadable:
      return ExitCode::no_such_input;
    case ErrorCode::unsupported:
      return ExitCode::unsupported;
    case ErrorCode::internal:
      return ExitCode::internal;
    case ErrorCode::output_failed:
      return ExitCode::output_failed;
    case ErrorCode::deadline_passed:
      return ExitCode::deadline_passed;
    case ErrorCode::not_permitted:
    case ErrorCode::already_traced:
      return ExitCode::not_permitted;
  }
  return ExitCode::internal;
}

}  // namespace pythreads::cli
