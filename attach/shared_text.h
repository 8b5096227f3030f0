// A text that many frames have in common: the name of a function, the path of a file. It does not change, and
// to copy it costs no memory: of 100,000 frames a few hundred differ in these. One pointer, for a frame has
// four.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace pythreads::attach {

class SharedText {
 public:
  SharedText() = default;
  // NOLINTBEGIN(google-explicit-constructor): it stands for a string wherever one is asked for.
  SharedText(std::string text) : shared_(text.empty() ? nullptr : new Shared{{1}, std::move(text)}) {}
  SharedText(std::string_view text) : SharedText(std::string(text)) {}
  SharedText(const char* text) : SharedText(std::string(text)) {}
  operator const std::string&() const { return str(); }
  operator std::string_view() const { return str(); }
  // NOLINTEND(google-explicit-constructor)

  SharedText(const SharedText& other) : shared_(other.shared_) {
    if (shared_ != nullptr) shared_->users.fetch_add(1, std::memory_order_relaxed);
  }
  SharedText(SharedText&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~SharedText() {
    if (shared_ != nullptr && shared_->users.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared_;
  }

  // An empty text that is not null, for those to whom this makes a difference.
  static const SharedText& of_no_length() {
    static const SharedText text(new Shared{{1}, {}});
    return text;
  }
  bool is_null() const { return shared_ == nullptr; }

  const std::string& str() const {
    static const std::string none;
    return shared_ != nullptr ? shared_->text : none;
  }
  std::string_view view() const { return str(); }

  bool empty() const { return shared_ == nullptr || shared_->text.empty(); }
  std::size_t size() const { return str().size(); }
  bool starts_with(std::string_view start) const { return view().starts_with(start); }
  bool ends_with(std::string_view end) const { return view().ends_with(end); }
  std::size_t find(std::string_view part) const { return view().find(part); }

  friend bool operator==(const SharedText& a, const SharedText& b) {
    return a.shared_ == b.shared_ || a.view() == b.view();
  }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const std::string& b) { return a.view() == b; }
  friend bool operator==(const SharedText& a, const char* b) { return a.view() == b; }
  friend auto operator<=>(const SharedText& a, const SharedText& b) { return a.view() <=> b.view(); }

  friend std::string operator+(const SharedText& a, std::string_view b) {
    return std::string(a.view()).append(b);
  }
  friend std::string operator+(std::string a, const SharedText& b) { return std::move(a.append(b.view())); }
  friend std::string operator+(const char* a, const SharedText& b) { return std::string(a).append(b.view()); }

 private:
  struct Shared {
    std::atomic<std::uint32_t> users;
    const std::string text;
  };
  explicit SharedText(Shared* shared) : shared_(shared) {}

  Shared* shared_ = nullptr;  // null: empty
};

inline std::ostream& operator<<(std::ostream& stream, const SharedText& text) {
  return stream << text.view();
}

}  // namespace pythreads::attach

template <>
struct std::hash<pythreads::attach::SharedText> {
  std::size_t operator()(const pythreads::attach::SharedText& text) const {
    return std::hash<std::string_view>()(text.view());
  }
};
