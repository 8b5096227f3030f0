// An ELF file of the target's as `attach` reads it, through libelf, from a descriptor; and the same bytes as
// a module in memory: its headers, and what it exports by PT_DYNAMIC and its hash tables.
#include <sys/mman.h>
#include <unistd.h>

#include "attach/exports.h"
#include "attach/modules.h"
#include "tests/fuzz/byte_memory.h"
#include "tests/fuzz/require.h"

namespace {

using namespace pythreads;  // NOLINT: one file
using tests::require;

constexpr attach::Address base{0x7f00'0000'0000};

class OneFile : public attach::TargetFiles {
 public:
  explicit OneFile(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  attach::Result<attach::ScopedFd> open_mapping(const attach::Mapping&) override {
    attach::ScopedFd file(::memfd_create("input", MFD_CLOEXEC));
    if (::write(file.get(), bytes_.data(), bytes_.size()) != static_cast<ssize_t>(bytes_.size()))
      std::abort();
    return file;
  }
  attach::Result<attach::ScopedFd> open_path(std::string_view) override { return open_mapping({}); }
  attach::Result<attach::ScopedFd> open_debug_file(std::string_view) override { return open_mapping({}); }

 private:
  std::span<const std::uint8_t> bytes_;
};

void check(const attach::Module& module, const std::optional<attach::Symbol>& symbol) {
  require(!symbol || module.range.contains(symbol->address), "a symbol lies inside of its module");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<std::string_view> names = {"exported", "_PyRuntime", "local", ""};
  tests::ByteMemory memory(base, std::span(data, size));
  // As the loader would have mapped it: each page three times, for reading, for code, for data.
  std::vector<attach::Mapping> mappings(3);
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    mappings[i].range = {base + i * 0x1000, 0x1000};
    mappings[i].file_offset = i * 0x1000;
    mappings[i].readable = true;
    mappings[i].executable = i == 1;
    mappings[i].writable = i == 2;
    mappings[i].inode = 1;
    mappings[i].path = "/lib/input.so";
  }
  std::vector<attach::Module> modules = attach::find_modules(mappings, memory);
  if (modules.empty()) {
    // What no header tells is asked all the same.
    modules.emplace_back();
    modules[0].bias = base.value;
    modules[0].range = {base, 0x3000};
    modules[0].dynamic = {base + 0x2000, 0x200};
  }
  OneFile files(std::span(data, size));
  for (attach::Module& module : modules) {
    for (const auto& symbol : attach::find_exports(module, memory, names)) check(module, symbol);
    if (const auto symbols = attach::read_symbols(module, files, names, {".PyRuntime", ".data"})) {
      for (const auto& symbol : symbols->found) check(module, symbol);
    }
  }
  return 0;
}
