#include "attach/pthread_size.h"

#include <string_view>

namespace pythreads::attach {
namespace {

// To 2.33 the threads are in a library of their own, and its file may bear the release in its name.
bool may_say_it(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("libpthread") || name == "libc.so.6" || name.starts_with("libc-");
}

}  // namespace

std::uint64_t find_pthread_size(const std::vector<Module>& modules, TargetFiles& files, Memory& memory) {
  constexpr std::uint32_t least = 256, most = 65536;
  for (const Module& module : modules) {
    if (!may_say_it(module.path)) continue;
    const Result<ModuleSymbols> symbols = read_symbols(module, files, {"_thread_db_sizeof_pthread"}, {});
    if (!symbols || !symbols->found.front()) continue;
    const Result<std::uint32_t> size = memory.read_value<std::uint32_t>(symbols->found.front()->address);
    if (size && *size >= least && *size <= most) return *size;
  }
  return 0;
}

}  // namespace pythreads::attach
