#include "attach/fork_origin.h"

#include <sys/personality.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

namespace pythreads::attach {
namespace {

const Mapping* find_named(const std::vector<Mapping>& mappings, std::string_view name) {
  const auto found = std::find_if(mappings.begin(), mappings.end(),
                                  [&](const Mapping& mapping) { return mapping.path == name; });
  return found == mappings.end() ? nullptr : &*found;
}

bool is_random(const ProcDir& dir) {
  const Result<std::string> flags = dir.read_file("personality", 64);
  if (!flags || (std::strtoul(flags->c_str(), nullptr, 16) & ADDR_NO_RANDOMIZE) != 0) return false;
  std::ifstream file("/proc/sys/kernel/randomize_va_space");
  int level = 0;
  return file >> level && level > 0;
}

}  // namespace

bool have_same_origin(const std::vector<Mapping>& one, const std::vector<Mapping>& other) {
  const Mapping* stack = find_named(one, "[stack]");
  const Mapping* vdso = find_named(one, "[vdso]");
  const Mapping* other_stack = find_named(other, "[stack]");
  const Mapping* other_vdso = find_named(other, "[vdso]");
  if (stack == nullptr || vdso == nullptr || other_stack == nullptr || other_vdso == nullptr) return false;
  // A stack grows downwards: its end stays.
  return stack->range.end() == other_stack->range.end() && vdso->range.begin == other_vdso->range.begin;
}

std::optional<pid_t> find_fork_parent(const ProcDir& dir, pid_t parent,
                                      const std::vector<Mapping>& mappings) {
  if (parent <= 1 || !is_random(dir)) return std::nullopt;
  const Result<ProcDir> parent_dir = ProcDir::open(parent);
  if (!parent_dir) return std::nullopt;
  const Result<std::vector<Mapping>> parent_mappings = parent_dir->read_mappings();
  if (!parent_mappings || !have_same_origin(mappings, *parent_mappings)) return std::nullopt;
  return parent;
}

}  // namespace pythreads::attach
