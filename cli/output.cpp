#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "attach/scoped_fd.h"

namespace pythreads::cli {
namespace {

attach::Error output_error(const std::string& what, int error_number) {
  return {attach::ErrorCode::output_failed, what + ": " + std::generic_category().message(error_number), ""};
}

attach::Result<void> write_all(int fd, std::string_view text, const std::string& name) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return output_error(name + " could not be written", written < 0 ? errno : EIO);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

attach::Result<void> write_standard_output(std::string_view text) {
  return write_all(STDOUT_FILENO, text, "standard output");
}

attach::Result<void> write_file(const std::string& path, std::string_view text) {
  const std::string unfinished = path + "." + std::to_string(::getpid()) + ".part";
  attach::ScopedFd fd(
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!fd.is_open()) return output_error(unfinished + " could not be made", errno);

  attach::Result<void> done = write_all(fd.get(), text, unfinished);
  if (done && ::fsync(fd.get()) != 0 && errno != EINVAL) done = output_error(unfinished, errno);
  if (done && ::rename(unfinished.c_str(), path.c_str()) != 0) {
    done = output_error(path + " could not be replaced", errno);
  }
  if (!done) ::unlink(unfinished.c_str());
  return done;
}

attach::Result<std::string> read_input(const std::string& path, std::size_t limit) {
  attach::ScopedFd opened;
  int fd = STDIN_FILENO;
  if (path != "-") {
    opened = attach::ScopedFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.is_open()) {
      return attach::Error{attach::ErrorCode::no_such_process,
                           path + ": " + std::generic_category().message(errno), ""};
    }
    fd = opened.get();
  }
  std::string text;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return attach::Error{attach::ErrorCode::unreadable,
                           path + ": " + std::generic_category().message(errno), ""};
    }
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) {
      return attach::Error{attach::ErrorCode::corrupt, path + " is larger than any dump", ""};
    }
  }
}

}  // namespace pythreads::cli
