// _Py_DebugOffsets, given every input, over each table: what is accepted lies inside its structs.
#include <cstdint>
#include <span>

#include "pyframes/debug_offsets.h"
#include "pyframes/layouts.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads::pyframes;  // NOLINT: one function
  using pythreads::tests::require;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  for (const LayoutRow& row : layout_rows()) {
    if (row.minor < 13) continue;
    const pythreads::attach::Result<RuntimeLayout> layout = lay_over(*row.layout, bytes);
    if (!layout) continue;
    require(layout->thread_state.size > 0 && layout->thread_state.size <= 1 << 16, "a bounded thread state");
    require(layout->thread_state.next.offset + 8 <= layout->thread_state.size, "next inside of it");
    require(layout->interpreter.threads_head.offset % 8 == 0, "aligned");
    require(layout->interpreter.threads_head.offset + 8 <= layout->interpreter.size,
            "inside the interpreter");
    require(layout->interpreter_frame.localsplus.offset >= 0, "frames have variables");
    require(layout->code.co_code_adaptive.offset <= layout->code.size, "code inside the code object");
    require(layout->gil.locked.offset >= 0 && layout->gil.locked.offset <= 1 << 16, "a GIL beside its start");
    require(layout->unicode.kind.offset >= 0 && layout->unicode.size > 0, "str");
  }
  return 0;
}
