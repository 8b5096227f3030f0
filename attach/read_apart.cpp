#include "attach/read_apart.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "attach/brokered_files.h"
#include "attach/sandbox.h"

namespace pythreads::attach {
namespace {

// Facts of 100,000 threads with deep stacks stay below it.
constexpr std::size_t most_result = std::size_t{1} << 30;
constexpr std::size_t longest_reason = 500;

std::string spoken(int error_number) {
  return std::generic_category().message(error_number);
}

void send_packet(int socket, Packet kind, std::string_view bytes) {
  char first = static_cast<char>(kind);
  std::array<iovec, 2> pieces{iovec{&first, 1}, iovec{const_cast<char*>(bytes.data()), bytes.size()}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) ::_exit(1);  // nobody is there to be told
  }
}

// The other process. It ends here: what the one that made it would do at its end is not its affair.
[[noreturn]] void be_reader(int socket, pid_t parent, Target& target,
                            const std::function<std::string(Target&)>& read) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(1);
  // Who waits for the end of our maker's output is not to wait for ours.
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
  const SandboxParts parts = enter_sandbox();
  if (!parts.no_capabilities) {
    send_packet(socket, Packet::fault, "its capabilities could not be dropped");
    ::_exit(1);
  }
  try {
    target.files = std::make_unique<BrokeredFiles>(socket);
    const std::string result = read(target);
    for (std::string_view rest = result; !rest.empty();) {
      const std::size_t count = std::min(rest.size(), longest_packet - 1);
      send_packet(socket, Packet::result, rest.substr(0, count));
      rest.remove_prefix(count);
    }
    send_packet(socket, Packet::end, {});
  } catch (const std::exception& fault) {
    send_packet(socket, Packet::fault, std::string_view(fault.what()).substr(0, longest_reason));
  }
  ::_exit(0);
}

// The reader as its maker has it. With this it is gone.
class Reader {
 public:
  Reader(pid_t pid, ScopedFd socket) : pid_(pid), socket_(std::move(socket)) {}
  ~Reader() { end(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  int socket() const { return socket_.get(); }

  // How it ended, as waitpid tells. One that goes on is made to.
  int end() {
    if (pid_ == 0) return status_;
    socket_.reset();
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status_;
  }

  // It is left to somebody else to wait for.
  pid_t let_end() { return std::exchange(pid_, 0); }

  // The same of one whose socket is closed, which is the last that it does or that is done to it.
  int end_by_itself(std::chrono::steady_clock::time_point deadline) {
    while (pid_ != 0 && std::chrono::steady_clock::now() < deadline) {
      const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
      if (ended < 0 && errno == EINTR) continue;
      if (ended == pid_) pid_ = 0;
      if (ended == 0) ::poll(nullptr, 0, 1);
    }
    return end();
  }

 private:
  pid_t pid_;
  ScopedFd socket_;
  int status_ = 0;
};

std::string name_of_signal(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGABRT:
      return "SIGABRT";
    case SIGILL:
      return "SIGILL";
    case SIGFPE:
      return "SIGFPE";
    case SIGKILL:
      return "SIGKILL, as the kernel does where memory runs out";
    default:
      return "signal " + std::to_string(number);
  }
}

Error crashed(pid_t target, int status) {
  std::string how = "ended with " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
  if (WIFSIGNALED(status)) how = "was killed by " + name_of_signal(WTERMSIG(status));
  return {ErrorCode::internal,
          "what read process " + std::to_string(target) + " " + how + "; the process itself goes on",
          {}};
}

Error failed(pid_t target, const std::string& why) {
  return {ErrorCode::internal, "process " + std::to_string(target) + " could not be read: " + why, {}};
}

}  // namespace

ReadingApart::~ReadingApart() {
  if (ending_ != 0) ::waitpid(ending_, nullptr, WNOHANG);
}

Result<std::string> ReadingApart::read(Target& target, std::chrono::steady_clock::time_point deadline,
                                       const std::function<std::string(Target&)>& read) {
  const pid_t number = target.process.pid;
  while (ending_ != 0 && ::waitpid(ending_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ending_ = 0;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return failed(number, "no socket can be made: " + spoken(errno));
  ScopedFd ours(ends[0]);
  ScopedFd theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ours.reset();
    be_reader(theirs.get(), parent, target, read);
  }
  if (pid < 0) {
    Error error = failed(number, "no process can be made to read it in: " + spoken(errno));
    error.hint = "--no-sandbox reads it without one of its own";
    return error;
  }
  theirs.reset();
  Reader reader(pid, std::move(ours));

  std::string result;
  std::array<char, longest_packet> packet;  // NOLINT: filled by recv
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{reader.socket(), POLLIN, 0};
    int count = 0;
    if (left.count() > 0)
      count = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000)));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return Error{
          ErrorCode::deadline_passed,
          "process " + std::to_string(number) + " was held, and could not be read before the deadline",
          "--deadline gives it longer"};
    }
    const ssize_t got = ::recv(reader.socket(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return crashed(number, reader.end_by_itself(deadline));
    const std::string_view bytes(packet.data() + 1, static_cast<std::size_t>(got) - 1);
    switch (static_cast<Packet>(packet.front())) {
      case Packet::result:
        if (bytes.size() > most_result - result.size()) return failed(number, "there is too much of it");
        result += bytes;
        break;
      case Packet::end:
        ending_ = reader.let_end();
        return result;
      case Packet::fault:
        return failed(number, std::string(bytes.substr(0, longest_reason)));
      default:
        if (!answer_for_files(reader.socket(), std::string_view(packet.data(), static_cast<std::size_t>(got)),
                              target))
          return failed(number, "what read it asks for what it must not have");
    }
  }
}

}  // namespace pythreads::attach
