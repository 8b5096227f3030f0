#include "attach/proc_parse.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>

namespace pythreads::attach {
namespace {

constexpr std::string_view deleted_suffix = " (deleted)";

// Takes the line up to the next line end off `text`.
std::string_view take_line(std::string_view& text) {
  std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

void skip_blanks(std::string_view& text) {
  std::size_t first = text.find_first_not_of(" \t");
  text.remove_prefix(std::min(first, text.size()));
}

template <typename T>
bool take_number(std::string_view& text, T& value, int base = 10) {
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

bool take_address(std::string_view& text, std::uint64_t& value) {
  skip_blanks(text);
  return take_char(text, '0') && take_char(text, 'x') && take_number(text, value, 16);
}

template <typename T>
bool take_word_number(std::string_view& text, T& value, int base = 10) {
  skip_blanks(text);
  return take_number(text, value, base);
}

std::string unescape_path(std::string_view escaped) {
  constexpr std::string_view line_end = "\\012";
  std::string path;
  path.reserve(escaped.size());
  for (std::size_t at = 0; at < escaped.size();) {
    if (escaped.substr(at, line_end.size()) == line_end) {
      path += '\n';
      at += line_end.size();
    } else {
      path += escaped[at++];
    }
  }
  return path;
}

bool is_flag(char given, char set) {
  return given == set || given == '-';
}

bool parse_mapping(std::string_view line, Mapping& mapping) {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  if (!take_number(line, begin, 16) || !take_char(line, '-') || !take_number(line, end, 16)) return false;
  if (begin >= end || !take_char(line, ' ') || line.size() < 5) return false;
  if (!is_flag(line[0], 'r') || !is_flag(line[1], 'w') || !is_flag(line[2], 'x')) return false;
  if ((line[3] != 'p' && line[3] != 's') || line[4] != ' ') return false;
  mapping.range = {Address(begin), end - begin};
  mapping.readable = line[0] == 'r';
  mapping.writable = line[1] == 'w';
  mapping.executable = line[2] == 'x';
  mapping.shared = line[3] == 's';
  line.remove_prefix(5);

  unsigned int major_number = 0;
  unsigned int minor_number = 0;
  if (!take_number(line, mapping.file_offset, 16) || !take_char(line, ' ')) return false;
  if (!take_number(line, major_number, 16) || !take_char(line, ':')) return false;
  if (!take_number(line, minor_number, 16) || !take_char(line, ' ')) return false;
  if (!take_number(line, mapping.inode)) return false;
  mapping.device = makedev(major_number, minor_number);

  if (!line.empty() && line.front() != ' ') return false;
  skip_blanks(line);
  if (mapping.inode != 0 && line.ends_with(deleted_suffix)) {
    mapping.deleted = true;
    line.remove_suffix(deleted_suffix.size());
  }
  mapping.path = unescape_path(line);
  return true;
}

template <typename T>
std::optional<T> number_of(std::string_view text, int base = 10) {
  T value{};
  if (!take_word_number(text, value, base)) return std::nullopt;
  return value;
}

std::optional<std::array<uid_t, 4>> four_of(std::string_view text) {
  std::array<uid_t, 4> ids{};
  for (uid_t& id : ids) {
    if (!take_word_number(text, id)) return std::nullopt;
  }
  return ids;
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// The path of a line of the cgroup file, "hierarchy:controllers:path".
std::string_view cgroup_path(std::string_view line) {
  std::size_t first = line.find(':');
  if (first == std::string_view::npos) return {};
  std::size_t second = line.find(':', first + 1);
  if (second == std::string_view::npos) return {};
  return line.substr(second + 1);
}

}  // namespace

Maps parse_maps(std::string_view text) {
  Maps maps;
  for (std::size_t number = 1; !text.empty(); ++number) {
    Mapping mapping;
    if (!parse_mapping(take_line(text), mapping)) {
      maps.bad_line = number;
      break;
    }
    maps.mappings.push_back(std::move(mapping));
  }
  return maps;
}

void cut_root(std::string& path, std::string_view root) {
  if (root.size() <= 1 || !path.starts_with(root)) return;
  if (path.size() > root.size() && path[root.size()] != '/') return;
  path.erase(0, root.size());
  if (path.empty()) path = "/";
}

bool cut_deleted(std::string& path) {
  if (!path.ends_with(deleted_suffix)) return false;
  path.resize(path.size() - deleted_suffix.size());
  return true;
}

std::optional<StatLine> parse_stat(std::string_view text) {
  StatLine stat;
  std::size_t open = text.find(" (");
  std::size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
    return std::nullopt;
  std::string_view pid = text.substr(0, open);
  if (!take_number(pid, stat.pid) || !pid.empty()) return std::nullopt;
  stat.comm = text.substr(open + 2, close - open - 2);

  text.remove_prefix(close + 1);
  if (!take_char(text, ' ') || text.size() < 2) return std::nullopt;
  stat.state = text.front();
  text.remove_prefix(1);
  if (!take_word_number(text, stat.parent_pid)) return std::nullopt;
  // The numbers as stat's manual counts them; 5 to 8 and some later ones are signed.
  for (int field = 5; field <= 22; ++field) {
    std::uint64_t* wanted = field == 9    ? &stat.flags
                            : field == 14 ? &stat.utime_ticks
                            : field == 15 ? &stat.stime_ticks
                            : field == 22 ? &stat.start_ticks
                                          : nullptr;
    std::int64_t ignored = 0;
    if (wanted ? !take_word_number(text, *wanted) : !take_word_number(text, ignored)) return std::nullopt;
  }
  return stat;
}

Status parse_status(std::string_view text) {
  Status status;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view key = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    skip_blanks(value);
    if (key == "State") {
      if (!value.empty()) status.state = value.front();
    } else if (key == "Tgid") {
      status.tgid = number_of<pid_t>(value);
    } else if (key == "TracerPid") {
      status.tracer_pid = number_of<pid_t>(value);
    } else if (key == "Uid") {
      status.uids = four_of(value);
    } else if (key == "Gid") {
      status.gids = four_of(value);
    } else if (key == "NSpid") {
      status.namespace_pids.clear();
      for (pid_t pid = 0; take_word_number(value, pid);) status.namespace_pids.push_back(pid);
    } else if (key == "Threads") {
      status.threads = number_of<std::uint64_t>(value);
    } else if (key == "CapPrm") {
      status.permitted_capabilities = number_of<std::uint64_t>(value, 16);
    } else if (key == "CapEff") {
      status.effective_capabilities = number_of<std::uint64_t>(value, 16);
    } else if (key == "CapBnd") {
      status.bounding_capabilities = number_of<std::uint64_t>(value, 16);
    } else if (key == "NoNewPrivs") {
      status.no_new_privileges = number_of<int>(value);
    } else if (key == "Seccomp") {
      status.seccomp = number_of<int>(value);
    } else if (key == "Seccomp_filters") {
      status.seccomp_filters = number_of<int>(value);
    } else if (key == "voluntary_ctxt_switches") {
      status.voluntary_switches = number_of<std::uint64_t>(value);
    } else if (key == "nonvoluntary_ctxt_switches") {
      status.involuntary_switches = number_of<std::uint64_t>(value);
    }
  }
  return status;
}

std::optional<SyscallLine> parse_syscall(std::string_view text) {
  SyscallLine call;
  std::string_view line = take_line(text);
  if (line == "running") {
    call.running = true;
    return call;
  }
  if (!take_number(line, call.number) || call.number < -1) return std::nullopt;
  if (call.number >= 0) {
    for (std::uint64_t& argument : call.arguments) {
      if (!take_address(line, argument)) return std::nullopt;
    }
  }
  if (!take_address(line, call.sp) || !take_address(line, call.pc)) return std::nullopt;
  return call;
}

std::vector<std::string> parse_command_line(std::string_view text) {
  std::vector<std::string> arguments;
  if (text.ends_with('\0'))
    text.remove_suffix(1);
  else if (text.empty())
    return arguments;
  for (;;) {
    std::size_t end = text.find('\0');
    arguments.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return arguments;
    text.remove_prefix(end + 1);
  }
}

std::string parse_cgroup(std::string_view text) {
  std::string_view first;
  for (bool is_first = true; !text.empty(); is_first = false) {
    std::string_view line = take_line(text);
    if (line.starts_with("0::")) return std::string(line.substr(3));
    if (is_first) first = cgroup_path(line);
  }
  return std::string(first);
}

std::string find_container_id(std::string_view cgroup_file) {
  constexpr std::size_t id_length = 64;
  std::string found;
  while (!cgroup_file.empty()) {
    std::string_view path = cgroup_path(take_line(cgroup_file));
    while (!path.empty()) {
      auto begin = std::find_if(path.begin(), path.end(), is_hex);
      auto end = std::find_if_not(begin, path.end(), is_hex);
      if (end - begin == id_length) found.assign(begin, end);
      path.remove_prefix(static_cast<std::size_t>(end - path.begin()));
    }
  }
  return found;
}

}  // namespace pythreads::attach
