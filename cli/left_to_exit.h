// What is needed to the end of the process, and is left to the kernel then: to give a document of a thousand
// threads back piece by piece takes as long as a part of the work. Under AddressSanitizer, which counts what
// is left, it is given back.
#pragma once

#include <utility>

namespace pythreads::cli {

template <typename T>
class LeftToExit {
 public:
  template <typename... Arguments>
  explicit LeftToExit(Arguments&&... arguments) : value_(std::forward<Arguments>(arguments)...) {}
#ifdef __SANITIZE_ADDRESS__
  ~LeftToExit() {
    value_.~T();
  }
#else
  ~LeftToExit() {}  // NOLINT: not `= default`, which would have to destroy the value
#endif
  LeftToExit(const LeftToExit&) = delete;
  LeftToExit& operator=(const LeftToExit&) = delete;

  T& operator*() {
    return value_;
  }
  T* operator->() {
    return &value_;
  }

 private:
  union {
    T value_;
  };
};

}  // namespace pythreads::cli
