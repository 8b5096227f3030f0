// Unwind tables: rows for many places, and a walk from frame to frame by what they say, with the same bytes
// for the stack. First where the tables are, where the stack pointer and the program counter stand; then the
// module as it is mapped.
#include "unwinder/cfi.h"

#include "tests/fuzz/byte_memory.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/require.h"
#include "unwinder/walk.h"

namespace {

using namespace pythreads;  // NOLINT: one file
using tests::require;

constexpr attach::Address base{0x7f00'0000'0000};

class NoFiles : public attach::TargetFiles {
 public:
  attach::Result<attach::ScopedFd> open_mapping(const attach::Mapping&) override { return gone(); }
  attach::Result<attach::ScopedFd> open_path(std::string_view) override { return gone(); }
  attach::Result<attach::ScopedFd> open_debug_file(std::string_view) override { return gone(); }

 private:
  static attach::Error gone() { return {attach::ErrorCode::unreadable, "no file", ""}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  const auto tables = input.take<std::uint32_t>();
  const auto stack = input.take<std::uint32_t>();
  const auto code = input.take<std::uint32_t>();
  if (input.is_empty()) return 0;
  tests::ByteMemory memory(base, input.rest());

  const attach::Range eh_frame_hdr{base + tables, 0x100};
  for (std::uint64_t offset = code; offset < std::uint64_t{code} + 0x40; ++offset) {
    const attach::Address pc = base + offset;
    if (const auto row = unwinder::find_cfi_row(memory, eh_frame_hdr, pc))
      require(row->function.contains(pc), "a row is of the function that was asked for");
  }

  attach::Module module;
  module.path = "/lib/input.so";
  module.bias = base.value;
  module.range = {base, (input.rest().size() + 0xfff) & ~std::size_t{0xfff}};
  module.eh_frame_hdr = eh_frame_hdr;
  attach::Mapping mapping;
  mapping.range = module.range;
  mapping.readable = mapping.executable = true;
  NoFiles files;
  unwinder::Unwinder unwinder({module}, files, {mapping});
  attach::Registers registers;
  registers.values.fill(base.value + stack);
  registers.values[attach::pc_register] = base.value + code;
  unwinder::NativeStack walked = unwinder.walk(registers, memory);
  require(walked.frames.size() <= 100'000, "a walk ends");
  unwinder.symbolize(walked);
  return 0;
}
