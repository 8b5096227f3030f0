#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace pythreads::cli {
namespace {

constexpr std::size_t narrowest = 40;
constexpr std::size_t usual = 80;

}  // namespace

bool is_capable_terminal(int descriptor) {
  if (::isatty(descriptor) != 1) return false;
  const char* kind = std::getenv("TERM");
  return kind == nullptr || std::string_view(kind) != "dumb";
}

std::size_t terminal_width(int descriptor) {
  if (::isatty(descriptor) != 1) return 0;
  std::size_t width = 0;
  if (const char* columns = std::getenv("COLUMNS")) {
    const std::string_view text(columns);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), width);
    if (failed != std::errc() || end != text.data() + text.size()) width = 0;
  }
  winsize size{};
  if (width == 0 && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  return std::max(width == 0 ? usual : width, narrowest);
}

}  // namespace pythreads::cli
