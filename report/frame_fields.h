// What the fields of a document's frame are made of. A frame has sixteen, most of them null, and a dump may
// have a million frames: where std::optional<std::string> takes 40 bytes, a pointer does. Otherwise they are
// as std::optional is.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "attach/shared_text.h"

namespace pythreads::report::document {

// A text, which may be empty, or null.
class OptionalText {
 public:
  OptionalText() = default;
  // NOLINTBEGIN(google-explicit-constructor): as those of std::optional
  OptionalText(std::nullopt_t) {}
  OptionalText(attach::SharedText text)
      : text_(text.is_null() ? attach::SharedText::of_no_length() : std::move(text)) {}
  OptionalText(const std::string& text) : OptionalText(attach::SharedText(text)) {}
  OptionalText(const char* text) : OptionalText(attach::SharedText(text)) {}
  operator std::optional<std::string>() const {
    return *this ? std::optional<std::string>(text_.str()) : std::nullopt;
  }
  // NOLINTEND(google-explicit-constructor)

  explicit operator bool() const { return !text_.is_null(); }
  const std::string& operator*() const { return text_.str(); }
  const std::string* operator->() const { return &text_.str(); }
  std::string_view value_or(std::string_view other) const { return *this ? text_.view() : other; }

  friend bool operator==(const OptionalText& a, std::string_view b) { return a && *a == b; }

 private:
  attach::SharedText text_;
};

// A line or a column, or null.
class OptionalPosition {
 public:
  static constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();

  OptionalPosition() = default;
  // NOLINTBEGIN(google-explicit-constructor): as those of std::optional
  OptionalPosition(std::nullopt_t) {}
  // REQUIRES: 0 <= value <= largest
  OptionalPosition(std::int64_t value) : value_(static_cast<std::int32_t>(value)) {}
  operator std::optional<std::int64_t>() const {
    return *this ? std::optional<std::int64_t>(value_) : std::nullopt;
  }
  // NOLINTEND(google-explicit-constructor)

  explicit operator bool() const { return value_ >= 0; }
  std::int64_t operator*() const { return value_; }
  std::int64_t value_or(std::int64_t other) const { return *this ? value_ : other; }

 private:
  std::int32_t value_ = -1;  // null
};

// What few frames have.
template <typename T>
class Rare {
 public:
  Rare() = default;
  Rare(const Rare& other) : value_(other ? std::make_unique<T>(*other) : nullptr) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(Rare other) noexcept {
    value_ = std::move(other.value_);
    return *this;
  }
  ~Rare() = default;

  explicit operator bool() const { return value_ != nullptr; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  T& emplace() { return *(value_ = std::make_unique<T>()); }
  void reset() { value_.reset(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace pythreads::report::document
