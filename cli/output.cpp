#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

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

Output::Output(const std::string& path) : path_(path) {
  if (path_.empty()) return;
  unfinished_ = path_ + "." + std::to_string(::getpid()) + ".part";
  file_ = attach::ScopedFd(
      ::open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file_.is_open()) done_ = output_error(unfinished_ + " could not be made", errno);
}

Output::~Output() {
  if (file_.is_open()) ::unlink(unfinished_.c_str());
}

void Output::write(std::string_view text) {
  if (!done_) return;
  done_ = path_.empty() ? write_all(STDOUT_FILENO, text, "standard output")
                        : write_all(file_.get(), text, unfinished_);
}

attach::Result<void> Output::finish() {
  if (path_.empty() || !done_) return done_;
  if (::fsync(file_.get()) != 0 && errno != EINVAL) return output_error(unfinished_, errno);
  if (::rename(unfinished_.c_str(), path_.c_str()) != 0) {
    return output_error(path_ + " could not be replaced", errno);
  }
  file_ = attach::ScopedFd();
  return {};
}

attach::Result<void> write_standard_output(std::string_view text) {
  return write_file({}, text);
}

attach::Result<void> write_file(const std::string& path, std::string_view text) {
  Output output(path);
  output.write(text);
  return output.finish();
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
