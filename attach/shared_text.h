// A text that many frames have in common: the name of a function, the path of a file. It does not change, and
// to copy it costs no memory: of 100,000 frames a few hundred differ in these.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace pythreads::attach {

class SharedText {
 public:
  SharedText() = default;
  // NOLINTBEGIN(google-explicit-constructor): it stands for a string wherever one is asked for.
  SharedText(std::string text)
      : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
  SharedText(std::string_view text) : SharedText(std::string(text)) {}
  SharedText(const char* text) : SharedText(std::string(text)) {}
  operator const std::string&() const { return str(); }
  operator std::string_view() const { return str(); }
  // NOLINTEND(google-explicit-constructor)

  const std::string& str() const {
    static const std::string none;
    return text_ ? *text_ : none;
  }
  std::string_view view() const { return str(); }

  bool empty() const { return !text_; }
  std::size_t size() const { return str().size(); }
  bool starts_with(std::string_view start) const { return view().starts_with(start); }
  bool ends_with(std::string_view end) const { return view().ends_with(end); }
  std::size_t find(std::string_view part) const { return view().find(part); }

  friend bool operator==(const SharedText& a, const SharedText& b) {
    return a.text_ == b.text_ || a.view() == b.view();
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
  std::shared_ptr<const std::string> text_;  // null: empty
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
