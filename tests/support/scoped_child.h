// A forked child that does something, says that it is ready, and sleeps until the test is over. It is killed
// and reaped by its pid.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>

#include "attach/scoped_fd.h"

namespace pythreads::tests {

class ScopedChild {
 public:
  // `prepare` runs in the child and says whether it succeeded; the child then sleeps.
  explicit ScopedChild(const std::function<bool()>& prepare) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    attach::ScopedFd reading(ends[0]);
    attach::ScopedFd writing(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (!prepare() || ::write(writing.get(), "r", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    writing.reset();
    char byte = 0;
    while (pid_ > 0 && ::read(reading.get(), &byte, 1) < 0 && errno == EINTR) {
    }
    ready_ = byte == 'r';
  }

  // Runs a program that sleeps; ready once it does.
  static ScopedChild run(const std::string& program, const std::string& argument) {
    return ScopedChild(program, argument);
  }

  ~ScopedChild() { end(); }
  ScopedChild(const ScopedChild&) = delete;
  ScopedChild& operator=(const ScopedChild&) = delete;

  pid_t pid() const { return pid_; }
  bool is_ready() const { return ready_; }

  // Kills it and leaves it unreaped: a zombie.
  void kill_only() const {
    ::kill(pid_, SIGKILL);
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
  }

  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  ScopedChild(const std::string& program, const std::string& argument) {
    // The close-on-exec end of the pipe is closed by the exec.
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
    attach::ScopedFd reading(ends[0]);
    attach::ScopedFd writing(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execl(program.c_str(), program.c_str(), argument.c_str(), static_cast<char*>(nullptr));
      ::write(writing.get(), "f", 1) == 1 ? ::_exit(1) : ::_exit(2);
    }
    writing.reset();
    char byte = 0;
    ssize_t got = 0;
    do {
      got = ::read(reading.get(), &byte, 1);
    } while (got < 0 && errno == EINTR);
    // exec closes the pipe before it maps the new program (begin_new_exec in fs/exec.c): asleep, it is mapped
    // whole.
    ready_ = pid_ > 0 && got == 0 && falls_asleep();
  }

  bool falls_asleep() const {
    const std::string path = "/proc/" + std::to_string(pid_) + "/syscall";
    constexpr int tries = 10'000;
    for (int i = 0; i < tries; ++i) {
      attach::ScopedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      std::array<char, 32> text{};
      const ssize_t got = file.is_open() ? ::read(file.get(), text.data(), text.size() - 1) : -1;
      if (got > 0 && std::string_view(text.data()).starts_with(sleep_call)) return true;
      ::usleep(1000);
    }
    return false;
  }

  static constexpr std::string_view sleep_call = "230 ";  // clock_nanosleep

  pid_t pid_ = -1;
  bool ready_ = false;
};

}  // namespace pythreads::tests
