// Text of the target's on its way to a terminal: names, paths, messages, mangled symbols.
#include <string>
#include <string_view>

#include "pyframes/redaction.h"
#include "pyframes/values.h"
#include "report/render/text.h"
#include "report/text_encoding.h"
#include "tests/fuzz/require.h"
#include "unwinder/demangle.h"

namespace {

using namespace pythreads;  // NOLINT: one file
using tests::require;

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = report::utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool a_terminal_obeys(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) return true;
    // C1 control characters, U+0080 to U+009F.
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string valid = report::valid_utf8(text);
  require(is_valid_utf8(valid), "what is shown is UTF-8");
  require(valid == report::valid_utf8(valid), "valid text stays as it is");
  require(is_valid_utf8(pyframes::valid_utf8(text)), "names too");
  require(!a_terminal_obeys(report::escaped(valid)), "a terminal obeys nothing of it");
  require(!a_terminal_obeys(report::escaped(text)), "nor where it was no UTF-8");
  require(is_valid_utf8(pyframes::redact_text(valid)), "hiding a secret breaks no character");
  require(!a_terminal_obeys(pyframes::quoted(valid)), "repr() of text is printable");
  pyframes::is_secret_name(text);
  require(unwinder::demangle(text).size() <= (1 << 20), "a name has a bound");
  return 0;
}
