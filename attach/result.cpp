#include "attach/result.h"

namespace pythreads::attach {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::wrong_usage:
      return "wrong_usage";
    case ErrorCode::not_python:
      return "not_python";
    case ErrorCode::no_such_process:
      return "no_such_process";
    case ErrorCode::process_ended:
      return "process_ended";
    case ErrorCode::zombie:
      return "zombie";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::unreadable:
      return "unreadable";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::output_failed:
      return "output_failed";
    case ErrorCode::deadline_passed:
      return "deadline_passed";
    case ErrorCode::not_permitted:
      return "not_permitted";
    case ErrorCode::already_traced:
      return "already_traced";
  }
  return "internal";
}

}  // namespace pythreads::attach
