#include "report/render/line_layout.h"

#include <algorithm>

#include "report/text_encoding.h"

namespace pythreads::report {
namespace {

constexpr std::size_t further = 4;
constexpr std::size_t deepest = 16;  // what is set in deeper than that is not set in further

struct Block {
  char32_t first, last;
};

constexpr Block wide[] = {{0x1100, 0x115F}, {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
                          {0xAC00, 0xD7A3}, {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                          {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Block combining[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},  {0x64B, 0x65F},
                               {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};

template <std::size_t N>
bool is_in(const Block (&blocks)[N], char32_t code) {
  return std::any_of(std::begin(blocks), std::end(blocks),
                     [code](const Block& block) { return code >= block.first && code <= block.last; });
}

}  // namespace

std::size_t terminal_columns(std::string_view text) {
  if (is_printable_ascii(text)) return text.size();
  std::size_t columns = 0;
  while (!text.empty()) {
    const char32_t code = utf8_code_point(text);
    columns += is_in(wide, code) ? 2 : is_in(combining, code) ? 0 : 1;
    text.remove_prefix(std::max<std::size_t>(1, utf8_length(text)));
  }
  return columns;
}

std::vector<std::string> broken_line(std::string_view line, std::size_t width) {
  std::vector<std::string> pieces;
  const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
  const std::string lead(std::min(indent + further, deepest), ' ');
  std::string piece(line.substr(0, indent));
  std::size_t columns = indent;
  bool has_word = false;
  for (std::string_view rest = line.substr(indent); !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t needed = terminal_columns(word) + (has_word ? 1 : 0);
    if (has_word && columns + needed > width) {
      pieces.push_back(std::move(piece));
      piece = lead;
      columns = lead.size() + needed - 1;
    } else {
      if (has_word) piece += ' ';
      columns += needed;
    }
    piece += word;
    has_word = true;
  }
  pieces.push_back(std::move(piece));
  return pieces;
}

std::string shortened_path(std::string_view path, std::size_t width) {
  if (terminal_columns(path) <= width) return std::string(path);
  std::size_t from = path.rfind('/');
  if (from == std::string_view::npos || from == 0) return std::string(path);
  while (true) {
    const std::size_t before = path.rfind('/', from - 1);
    if (before == std::string_view::npos || terminal_columns(path.substr(before)) + 1 > width) break;
    if (before == 0) break;
    from = before;
  }
  return "…" + std::string(path.substr(from));
}

}  // namespace pythreads::report
