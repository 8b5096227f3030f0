#include "cli/likely_pythons.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "attach/proc_dir.h"
#include "attach/proc_parse.h"
#include "attach/process_tree.h"
#include "cli/spoken_command.h"

namespace pythreads::cli {
namespace {

constexpr std::chrono::milliseconds most_time{400};
constexpr std::size_t most_maps = std::size_t{4} << 20;
constexpr std::size_t small_file = std::size_t{64} << 10;

std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find('\0');
    words.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return words;
}

enum class Looks { like_python, unlike, unknown };

// Without its maps, which cost more than all else.
Looks by_name(const attach::ProcDir& dir, const std::vector<std::string>& command) {
  attach::Result<std::string> executable = dir.read_link("exe");
  if (executable) {
    attach::cut_deleted(*executable);
    return is_python_name(*executable) ? Looks::like_python : Looks::unknown;
  }
  // Another user's: what it calls itself.
  return !command.empty() && is_python_name(command.front()) ? Looks::like_python : Looks::unlike;
}

bool is_alive(const attach::ProcDir& dir) {
  const attach::Result<std::string> text = dir.read_file("stat", small_file);
  const std::optional<attach::StatLine> stat = text ? attach::parse_stat(*text) : std::nullopt;
  return stat && stat->state != 'Z' && stat->state != 'X';
}

}  // namespace

bool is_python_name(std::string_view path) {
  constexpr std::string_view name = "python";
  const std::string_view last = path.substr(path.rfind('/') + 1);
  return last.starts_with(name) &&
         (last.size() == name.size() || last.find_first_of("0123456789.-", name.size()) == name.size());
}

bool maps_python(std::string_view maps) {
  return maps.find("/libpython") != std::string_view::npos ||
         maps.find("/lib-dynload/") != std::string_view::npos ||
         maps.find(".cpython-") != std::string_view::npos;
}

std::vector<LikelyPython> list_likely_pythons() {
  const auto deadline = std::chrono::steady_clock::now() + most_time;
  std::vector<LikelyPython> found;
  std::vector<std::pair<pid_t, std::vector<std::string>>> unknown;
  for (const pid_t pid : attach::list_processes()) {
    if (std::chrono::steady_clock::now() >= deadline) break;
    if (pid == ::getpid()) continue;
    attach::Result<attach::ProcDir> dir = attach::ProcDir::open(pid);
    if (!dir) continue;
    const attach::Result<std::string> text = dir->read_file("cmdline", small_file);
    std::vector<std::string> command = split_command(text ? std::string_view(*text) : std::string_view());
    if (command.empty()) continue;  // of the kernel, or dead
    const Looks looks = by_name(*dir, command);
    if (looks == Looks::like_python && is_alive(*dir)) found.push_back({pid, spoken_command(command)});
    if (looks == Looks::unknown) unknown.emplace_back(pid, std::move(command));
  }
  for (const auto& [pid, command] : unknown) {
    if (std::chrono::steady_clock::now() >= deadline) break;
    const attach::Result<attach::ProcDir> dir = attach::ProcDir::open(pid);
    if (!dir) continue;
    const attach::Result<std::string> maps = dir->read_file("maps", most_maps);
    if (maps && maps_python(*maps)) found.push_back({pid, spoken_command(command)});
  }
  std::ranges::sort(found, {}, &LikelyPython::pid);
  return found;
}

}  // namespace pythreads::cli
