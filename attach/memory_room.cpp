#include "attach/memory_room.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace pythreads::attach {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;
// Version 1 says "no limit" by a number that no machine has.
constexpr std::uint64_t no_limit = std::uint64_t{1} << 60;
constexpr std::size_t most_levels = 64;

struct Hierarchy {
  std::string mount, path;  // where it is mounted, and where in it we are
  bool unified = false;
};

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<std::uint64_t> number_in(const std::string& path) {
  const std::string line = first_line(path);
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (failed != std::errc() || end == line.data()) return std::nullopt;  // "max" is none
  return number;
}

bool is_among(std::string_view word, std::string_view list) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return false;
}

// Our path in each hierarchy that may limit memory: "4:memory:/a" and "0::/a".
std::vector<Hierarchy> find_hierarchies(const std::string& root) {
  std::vector<Hierarchy> found;
  std::ifstream cgroups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty() || is_among("memory", controllers))
      found.push_back({{}, line.substr(second + 1), controllers.empty()});
  }
  std::ifstream mounts(root + "/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, where, kind, options;
    words >> device >> where >> kind >> options;
    for (Hierarchy& each : found) {
      if (each.mount.empty() &&
          (each.unified ? kind == "cgroup2" : kind == "cgroup" && is_among("memory", options)))
        each.mount = where;
    }
  }
  return found;
}

// "inactive_file 123" of memory.stat, in version 1 that of the cgroups below as well.
std::uint64_t given_back(const std::string& folder, bool unified) {
  std::ifstream file(folder + "/memory.stat");
  const std::string wanted = unified ? "inactive_file" : "total_inactive_file";
  std::string name;
  for (std::uint64_t number = 0; file >> name >> number;) {
    if (name == wanted) return number;
  }
  return 0;
}

std::optional<MemoryRoom> room_of(const std::string& folder, bool unified) {
  const auto limit = number_in(folder + (unified ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used = number_in(folder + (unified ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used || *limit >= no_limit) return std::nullopt;
  const std::uint64_t kept = *used - std::min(*used, given_back(folder, unified));
  return MemoryRoom{*limit, *limit - std::min(*limit, kept), folder};
}

}  // namespace

std::optional<MemoryRoom> find_memory_room(const std::string& root) {
  std::optional<MemoryRoom> narrowest;
  for (const Hierarchy& each : find_hierarchies(root)) {
    if (each.mount.empty()) continue;
    std::string path = each.path == "/" ? "" : each.path;
    for (std::size_t level = 0; level < most_levels; ++level) {
      std::optional<MemoryRoom> room = room_of(root + each.mount + path, each.unified);
      if (room) {
        room->cgroup = each.mount + path;
        if (!narrowest || room->left < narrowest->left) narrowest = std::move(room);
      }
      if (path.empty()) break;
      path.resize(path.rfind('/'));
    }
  }
  return narrowest;
}

std::uint64_t estimate_memory(std::size_t threads) {
  return 12 * mib + threads * (192 * 1024);
}

}  // namespace pythreads::attach
