#include "attach/live_files.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "attach/proc_parse.h"

namespace pythreads::attach {
namespace {

constexpr int most_links = 40;  // MAXSYMLINKS of the kernel
constexpr std::size_t most_pending = 4096;
constexpr int open_tries = 8;  // openat2 answers EAGAIN when a folder on the way is renamed meanwhile

Error unreadable(std::string_view what, int error_number) {
  return {
      ErrorCode::unreadable, std::string(what) + ": " + std::generic_category().message(error_number), {}};
}

// Puts the components of `path` before those that are pending: the next one is at the back.
void push_components(std::vector<std::string>& pending, std::string_view path) {
  while (!path.empty()) {
    std::size_t slash = path.rfind('/');
    std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
    if (!last.empty() && last != ".") pending.emplace_back(last);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  }
}

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

std::optional<FileIdentity> identity(int folder, const char* path, int flags) {
  struct stat seen {};
  if (::fstatat(folder, path, &seen, flags) != 0) return std::nullopt;
  return FileIdentity{seen.st_dev, seen.st_ino};
}

bool is_mapped_file(const ScopedFd& file, const Mapping& mapping) {
  return identity(file.get(), "", AT_EMPTY_PATH) == FileIdentity{mapping.device, mapping.inode};
}

ScopedFd open_own_root() {
  return ScopedFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

class LiveFiles final : public TargetFiles {
 public:
  explicit LiveFiles(const ProcDir& folder);

  Result<ScopedFd> open_mapping(const Mapping& mapping) override;
  Result<ScopedFd> open_path(std::string_view path) override;
  Result<ScopedFd> open_debug_file(std::string_view build_id) override;

 private:
  Result<ScopedFd> find(std::string_view path) const;
  Result<ScopedFd> follow(const std::string& relative) const;

  ScopedFd folder_;
  std::string memory_folder_;
  ScopedFd root_;
  Error root_failure_;
  std::string executable_;
  bool executable_deleted_ = false;
  bool shares_our_mounts_ = false;
};

LiveFiles::LiveFiles(const ProcDir& folder)
    : folder_(::fcntl(folder.fd(), F_DUPFD_CLOEXEC, 0)), memory_folder_(folder.memory_folder()) {
  Result<ScopedFd> root = folder.open_file((memory_folder_ + "root").c_str(), O_PATH | O_DIRECTORY);
  if (root) {
    root_ = *std::move(root);
  } else {
    root_failure_ = std::move(root).error();
  }
  Result<std::string> top = folder.read_link((memory_folder_ + "root").c_str());
  if (Result<std::string> link = folder.read_link((memory_folder_ + "exe").c_str())) {
    executable_ = *std::move(link);
    executable_deleted_ = cut_deleted(executable_);
    if (top) cut_root(executable_, *top);
  }
  std::optional<FileIdentity> mounts = identity(folder.fd(), "ns/mnt", 0);
  shares_our_mounts_ = mounts && mounts == identity(AT_FDCWD, "/proc/self/ns/mnt", 0);
}

Result<ScopedFd> LiveFiles::find(std::string_view path) const {
  if (!root_.is_open()) return root_failure_;
  return resolve_in_root(root_.get(), path);
}

// One of the kernel's own links to a file: exe, map_files.
Result<ScopedFd> LiveFiles::follow(const std::string& relative) const {
  ScopedFd file(::openat(folder_.get(), relative.c_str(), O_PATH | O_CLOEXEC));
  if (!file.is_open()) return unreadable(relative, errno);
  return file;
}

Result<ScopedFd> LiveFiles::open_mapping(const Mapping& mapping) {
  if (mapping.path.empty() || mapping.path.front() != '/')
    return Error{ErrorCode::unreadable, "no file is behind the mapping '" + mapping.path + "'", {}};

  Result<ScopedFd> by_path = find(mapping.path);
  if (by_path && is_mapped_file(*by_path, mapping)) return reopen_regular(*by_path);
  if (mapping.deleted) {
    Result<ScopedFd> really_named_so = find(mapping.path + " (deleted)");
    if (really_named_so && is_mapped_file(*really_named_so, mapping)) return reopen_regular(*really_named_so);
  }

  Result<ScopedFd> executable = follow(memory_folder_ + "exe");
  if (executable && (is_mapped_file(*executable, mapping) ||
                     (mapping.path == executable_ && mapping.deleted == executable_deleted_)))
    return reopen_regular(*executable);

  std::array<char, 64> range{};
  std::snprintf(range.data(), range.size(), "map_files/%llx-%llx",
                static_cast<unsigned long long>(mapping.range.begin.value),
                static_cast<unsigned long long>(mapping.range.end().value));
  Result<ScopedFd> mapped = follow(range.data());
  if (mapped) return reopen_regular(*mapped);

  // Mapped before a chroot: the path is one of ours, and only the very file is taken.
  if (shares_our_mounts_) {
    ScopedFd own_root = open_own_root();
    Result<ScopedFd> ours = resolve_in_root(own_root.get(), mapping.path);
    if (ours && is_mapped_file(*ours, mapping)) return reopen_regular(*ours);
  }
  if (by_path) return reopen_regular(*by_path);
  return std::move(by_path).error().within("opening " + mapping.path + " in the target's root");
}

Result<ScopedFd> LiveFiles::open_path(std::string_view path) {
  Result<ScopedFd> found = find(path);
  if (!found)
    return std::move(found).error().within("opening " + std::string(path) + " in the target's root");
  return reopen_regular(*found);
}

Result<ScopedFd> LiveFiles::open_debug_file(std::string_view build_id) {
  constexpr std::size_t longest_id = 128;
  if (build_id.size() < 4 || build_id.size() > longest_id ||
      build_id.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return Error{ErrorCode::unreadable, "no debug file has the build id '" + std::string(build_id) + "'", {}};
  std::string path = "/usr/lib/debug/.build-id/" + std::string(build_id.substr(0, 2)) + "/" +
                     std::string(build_id.substr(2)) + ".debug";
  if (Result<ScopedFd> found = open_path(path)) return found;
  ScopedFd own_root = open_own_root();
  Result<ScopedFd> ours = resolve_in_root(own_root.get(), path);
  if (!ours) return std::move(ours).error().within("opening " + path);
  return reopen_regular(*ours);
}

}  // namespace

std::unique_ptr<TargetFiles> make_target_files(const ProcDir& folder) {
  return std::make_unique<LiveFiles>(folder);
}

Result<ScopedFd> resolve_in_root(int root, std::string_view path) {
  if (path.size() >= PATH_MAX) return unreadable("a path", ENAMETOOLONG);
  std::string name(path);
  if (name.find('\0') != std::string::npos) return unreadable("a path with a zero byte", EINVAL);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int tried = 0; tried < open_tries; ++tried) {
    long fd = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
    if (fd >= 0) return ScopedFd(static_cast<int>(fd));
    if (errno == ENOSYS || errno == EPERM) return walk_by_component(root, path);
    if (errno != EAGAIN && errno != EINTR) return unreadable(path, errno);
  }
  return unreadable(path, EAGAIN);
}

Result<ScopedFd> walk_by_component(int root, std::string_view path) {
  std::vector<ScopedFd> folders;  // from below the root to where we are; ".." takes one off and asks nothing
  std::vector<std::string> pending;
  push_components(pending, path);
  int links = 0;
  while (!pending.empty()) {
    if (pending.size() > most_pending) return unreadable(path, ENAMETOOLONG);
    std::string name = std::move(pending.back());
    pending.pop_back();
    if (name == "..") {
      if (!folders.empty()) folders.pop_back();
      continue;
    }
    int above = folders.empty() ? root : folders.back().get();
    ScopedFd next(::openat(above, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat seen {};
    if (!next.is_open() || ::fstat(next.get(), &seen) != 0) return unreadable(path, errno);
    if (!S_ISLNK(seen.st_mode)) {
      if (!pending.empty() && !S_ISDIR(seen.st_mode)) return unreadable(path, ENOTDIR);
      folders.push_back(std::move(next));
      continue;
    }
    if (++links > most_links) return unreadable(path, ELOOP);
    std::array<char, PATH_MAX> target;  // NOLINT: filled by readlinkat
    ssize_t length = ::readlinkat(next.get(), "", target.data(), target.size());
    if (length < 0) return unreadable(path, errno);
    std::string_view leads_to(target.data(), static_cast<std::size_t>(length));
    if (leads_to.starts_with('/')) folders.clear();
    push_components(pending, leads_to);
  }
  if (!folders.empty()) return std::move(folders.back());
  ScopedFd same(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  if (!same.is_open()) return unreadable(path, errno);
  return same;
}

Result<ScopedFd> reopen_regular(const ScopedFd& found) {
  struct stat seen {};
  if (::fstat(found.get(), &seen) != 0) return unreadable("a file of the target", errno);
  if (!S_ISREG(seen.st_mode))
    return Error{ErrorCode::unreadable, "it is no regular file, and is not opened", {}};
  std::string link = "/proc/self/fd/" + std::to_string(found.get());
  ScopedFd file(::open(link.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.is_open()) return unreadable("a file of the target", errno);
  return file;
}

}  // namespace pythreads::attach
