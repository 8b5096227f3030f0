// `Result<T>`: a value, or the `Error` that says why there is none. For what the caller must decide; what is
// missing in one place only is a gap (a string beside the list that it cuts short).
//
//   Result<int> parsed = parse(text);
//   if (!parsed) return std::move(parsed).error().within("reading the maps");
//   use(*parsed);
//
// std::expected needs C++23 and is not in g++ 12. No exception leaves a room.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace pythreads::attach {

// Few codes, each of which a caller or the exit code tells apart (cli/exit_code.h). They are also the `code`
// of `errors[]` in JSON, by the names in `error_code_name`.
enum class ErrorCode {
  wrong_usage,
  not_python,       // no CPython in the process, or a file that is no dump or core
  no_such_process,  // no such process or file
  process_ended,    // it ended, or executed another program, while it was read
  zombie,           // it has ended and its parent has not noticed
  unsupported,      // a CPython, or a build of it, that can't be read
  unreadable,       // memory or a file of the target that could not be read
  corrupt,          // read, but it can't be what it should be
  internal,         // a fault in pythreads itself
  output_failed,    // the output could not be written
  deadline_passed,
  not_permitted,   // the kernel says no; the message tells which rule
  already_traced,  // another tracer (a debugger) has it
};

std::string_view error_code_name(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // what happened and why: one line, no full stop
  std::string hint;     // what to do, only when a check has proved it; empty otherwise

  // Adds where it happened, on the way up: "reading the maps: no such process".
  Error within(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok()
  T& operator*() & { return std::get<0>(held_); }
  const T& operator*() const& { return std::get<0>(held_); }
  T&& operator*() && { return std::get<0>(std::move(held_)); }
  T* operator->() { return &std::get<0>(held_); }
  const T* operator->() const { return &std::get<0>(held_); }

  T value_or(T other) const& { return ok() ? std::get<0>(held_) : std::move(other); }

  // REQUIRES: !ok()
  const Error& error() const& { return std::get<1>(held_); }
  Error error() && { return std::get<1>(std::move(held_)); }

 private:
  std::variant<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return *error_; }
  Error error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

}  // namespace pythreads::attach
