// The input of `show`: what is no dump is refused, and what is one is rendered in each form, and is the same
// dump again after it was written and read.
#include "report/render/json.h"

#include "report/render/graph.h"
#include "report/render/text.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads::report;  // NOLINT: one function
  using pythreads::tests::require;
  const auto document = parse_json({reinterpret_cast<const char*>(data), size});
  if (!document) return 0;
  const std::string written = render_json(*document);
  const auto again = parse_json(written);
  require(again.ok(), "what we write we read");
  require(render_json(*again) == written, "and it is the same");
  const Style everything{.color = true, .native = true, .locals = true, .explain = true, .full = true};
  const std::string texts[] = {render_text(*document, everything),
                               render_text(*document, {.group = true}),
                               render_text(*document, {.only_blocked = true}),
                               render_graph_text(*document, {.explain = true}),
                               render_dot(*document),
                               render_mermaid(*document)};
  for (const std::string& text : texts) require(!text.empty(), "each form says something");
  require(texts[1].find('\x1b') == std::string::npos, "without colour there is no escape sequence");
  return 0;
}
