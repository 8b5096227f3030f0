#include "cli/spoken_command.h"

#include <cstddef>

#include "pyframes/redaction.h"

namespace pythreads::cli {
namespace {

constexpr std::size_t longest_command = 80;

}  // namespace

std::string spoken_command(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : pyframes::redact_command(command)) {
    if (!text.empty()) text += ' ';
    text += word;
    if (text.size() > longest_command) break;
  }
  if (text.size() > longest_command) {
    text.resize(longest_command);
    // Not in the middle of a character.
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0U) == 0x80U) text.pop_back();
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0U) text.pop_back();
    text += "…";
  }
  return text;
}

}  // namespace pythreads::cli
