#include "attach/live_mappings.h"

#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include "attach/proc_parse.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t maps_limit = 64 * 1024 * 1024;

// The text of `maps`, by a descriptor that is already open. Empty when the address space is gone.
Result<std::string> read_maps(const ScopedFd& maps) {
  std::string text;
  text.reserve(64 * 1024);
  std::array<char, 16 * 1024> block;  // NOLINT: filled by pread
  while (text.size() < maps_limit) {
    const ssize_t got = ::pread(maps.get(), block.data(), block.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ESRCH) {
      return Error{ErrorCode::process_ended, "the process ended, or executed another program", ""};
    }
    if (got < 0) {
      return Error{ErrorCode::unreadable, std::string("reading the maps: ") + std::strerror(errno), ""};
    }
    if (got == 0) return text;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  return Error{ErrorCode::corrupt, "the maps are longer than 64 MiB", ""};
}

// A parse of the raw text names paths as the kernel does; those that were known keep the name that they had.
std::vector<Mapping> with_known_paths(std::vector<Mapping> fresh, const std::vector<Mapping>& known) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, const Mapping*> by_file;
  for (const Mapping& m : known) {
    if (m.inode != 0) by_file.emplace(std::pair(m.device, m.inode), &m);
  }
  for (Mapping& m : fresh) {
    const auto found = by_file.find({m.device, m.inode});
    if (m.inode != 0 && found != by_file.end()) m.path = found->second->path;
  }
  return fresh;
}

}  // namespace

bool same_files(const std::vector<Mapping>& a, const std::vector<Mapping>& b) {
  const auto files = [](const std::vector<Mapping>& mappings) {
    std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>> list;
    for (const Mapping& m : mappings) {
      if (m.inode != 0) list.emplace_back(m.range.begin.value, m.range.size, m.inode, m.device);
    }
    return list;
  };
  return files(a) == files(b);
}

Result<bool> LiveMappings::refresh(const ProcDir& dir, std::vector<Mapping>& mappings) {
  Result<std::string> text = read_maps(maps_);
  if (!text) return std::move(text).error();
  if (!text_.empty() && *text == text_) return false;
  Result<std::vector<Mapping>> fresh = dir.mappings_of(*text);
  if (!fresh) return std::move(fresh).error();
  const bool files_changed = text_.empty() || !same_files(*fresh, mappings);
  mappings = std::move(*fresh);
  text_ = std::move(*text);
  return files_changed;
}

Result<bool> LiveMappings::refresh_held(std::vector<Mapping>& mappings) {
  Result<std::string> text = read_maps(maps_);
  if (!text) return std::move(text).error();
  if (*text == text_) return false;
  Maps fresh = parse_maps(*text);
  if (fresh.bad_line || fresh.mappings.empty()) {
    return Error{ErrorCode::corrupt, "they changed before the stop, and don't parse", ""};
  }
  mappings = with_known_paths(std::move(fresh.mappings), mappings);
  text_ = std::move(*text);
  return true;
}

}  // namespace pythreads::attach
