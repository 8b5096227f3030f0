#include "attach/process_tree.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "attach/proc_dir.h"
#include "attach/proc_parse.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t most_processes = 100'000;
constexpr std::size_t most_children = 10'000;
constexpr std::size_t most_same_pids = 16;
constexpr std::size_t small_file = std::size_t{64} << 10;

std::optional<pid_t> number_of(std::string_view text) {
  pid_t pid = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (failed != std::errc{} || end != text.data() + text.size() || pid <= 0) return std::nullopt;
  return pid;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

Result<std::string> read_of(pid_t pid, const char* name) {
  Result<ProcDir> dir = ProcDir::open_folder("/proc/" + std::to_string(pid));
  if (!dir) return std::move(dir).error();
  return dir->read_file(name, small_file);
}

void add_numbers(std::string_view text, std::vector<pid_t>& pids) {
  while (!text.empty() && pids.size() < most_children) {
    const std::size_t space = text.find(' ');
    if (std::optional<pid_t> pid = number_of(text.substr(0, space))) pids.push_back(*pid);
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  }
}

std::vector<pid_t> children_by_parent(pid_t parent) {
  std::vector<pid_t> children;
  for (const pid_t pid : list_processes()) {
    const Result<std::string> text = read_of(pid, "stat");
    const std::optional<StatLine> stat = text ? parse_stat(*text) : std::nullopt;
    if (stat && stat->parent_pid == parent && children.size() < most_children) children.push_back(pid);
  }
  return children;
}

}  // namespace

std::vector<pid_t> list_processes() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir("/proc"));
  if (!folder) return pids;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (std::optional<pid_t> pid = number_of(entry->d_name)) pids.push_back(*pid);
    if (pids.size() == most_processes) break;
  }
  return pids;
}

std::vector<pid_t> list_children(pid_t pid) {
  Result<ProcDir> dir = ProcDir::open(pid);
  if (!dir) return {};
  Result<std::vector<pid_t>> threads = dir->list_threads();
  if (!threads) return {};
  std::vector<pid_t> children;
  bool told = false;
  for (const pid_t tid : *threads) {
    const std::string name = "task/" + std::to_string(tid) + "/children";
    const Result<std::string> text = dir->read_file(name.c_str(), most_children * 11);
    if (!text) continue;
    told = true;
    add_numbers(*text, children);
  }
  if (!told) children = children_by_parent(pid);
  std::sort(children.begin(), children.end());
  return children;
}

std::vector<pid_t> find_by_inner_pid(pid_t inner) {
  std::vector<pid_t> found;
  for (const pid_t pid : list_processes()) {
    if (found.size() == most_same_pids) break;
    const Result<std::string> text = read_of(pid, "status");
    if (!text) continue;
    const Status status = parse_status(*text);
    if (status.namespace_pids.size() > 1 && status.namespace_pids.back() == inner) found.push_back(pid);
  }
  return found;
}

Result<void> check_proc_is_ours() {
  std::array<char, 64> link{};
  const ssize_t length = ::readlink("/proc/self", link.data(), link.size());
  const std::string_view shown(link.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  if (number_of(shown) == ::getpid()) return {};
  // /proc/self leads nowhere for who is not in that namespace; without /proc there is no version either.
  if (::access("/proc/version", F_OK) != 0)
    return Error{ErrorCode::unreadable, "/proc is not mounted here", {}};
  const std::string there = number_of(shown) ? "has the pid " + std::string(shown) : "has no pid";
  return Error{ErrorCode::unreadable,
               "/proc is of another pid namespace, where pythreads " + there + " (here it has " +
                   std::to_string(::getpid()) + "): a pid there means another process here",
               "run it where /proc is of its own pid namespace: in the host's, by nsenter --pid --mount, or "
               "after mount -t proc proc /proc"};
}

}  // namespace pythreads::attach
