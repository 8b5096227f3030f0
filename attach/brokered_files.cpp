#include "attach/brokered_files.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace pythreads::attach {
namespace {

constexpr std::size_t longest_reason = 4096;

Error broken(int error_number) {
  return {
      ErrorCode::internal, "no file can be asked for: " + std::generic_category().message(error_number), {}};
}

// Of an answer: the first byte is 0 with a descriptor, else an error's code.
struct Answer {
  std::array<char, 1 + longest_reason> bytes{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec piece{};
  msghdr message{};

  Answer() {
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
  }
};

bool send_answer(int socket, const Result<ScopedFd>& file) {
  Answer answer;
  std::size_t size = 1;
  if (file) {
    answer.message.msg_control = answer.control.data();
    answer.message.msg_controllen = answer.control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&answer.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = file->get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  } else {
    const std::string& reason = file.error().message;
    const std::size_t count = std::min(reason.size(), longest_reason);
    answer.bytes[0] = static_cast<char>(static_cast<int>(file.error().code) + 1);
    std::copy_n(reason.begin(), count, answer.bytes.begin() + 1);
    size += count;
  }
  answer.piece = {answer.bytes.data(), size};
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &answer.message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(size);
}

Result<ScopedFd> file_of_mapping(std::string_view address, Target& target) {
  std::uint64_t begin = 0;
  if (address.size() == sizeof begin) std::memcpy(&begin, address.data(), sizeof begin);
  const auto found = std::find_if(
      target.modules.begin(), target.modules.end(),
      [begin](const Module& module) { return module.first_mapping.range.begin == Address(begin); });
  if (address.size() != sizeof begin || found == target.modules.end())
    return Error{ErrorCode::unreadable, "no module is mapped there", {}};
  return target.files->open_mapping(found->first_mapping);
}

Result<ScopedFd> debug_file(std::string_view build_id, Target& target) {
  const bool known = std::any_of(target.modules.begin(), target.modules.end(),
                                 [build_id](const Module& module) { return module.build_id == build_id; });
  if (!known || build_id.empty()) return Error{ErrorCode::unreadable, "no module has that build id", {}};
  return target.files->open_debug_file(build_id);
}

}  // namespace

bool answer_for_files(int socket, std::string_view question, Target& target) {
  if (question.empty() || !target.files) return false;
  const std::string_view words = question.substr(1);
  switch (static_cast<Packet>(question.front())) {
    case Packet::mapping:
      return send_answer(socket, file_of_mapping(words, target));
    case Packet::debug_file:
      return send_answer(socket, debug_file(words, target));
    default:
      return false;
  }
}

Result<ScopedFd> BrokeredFiles::open_mapping(const Mapping& mapping) {
  const std::uint64_t begin = mapping.range.begin.value;
  std::string question(1, static_cast<char>(Packet::mapping));
  question.append(reinterpret_cast<const char*>(&begin), sizeof begin);
  return ask(question);
}

Result<ScopedFd> BrokeredFiles::open_path(std::string_view path) {
  return Error{ErrorCode::unreadable, "no file is opened by its path alone: " + std::string(path), {}};
}

Result<ScopedFd> BrokeredFiles::open_debug_file(std::string_view build_id) {
  return ask(static_cast<char>(Packet::debug_file) + std::string(build_id));
}

Result<ScopedFd> BrokeredFiles::ask(std::string_view question) {
  ssize_t count = 0;
  do {
    count = ::send(socket_, question.data(), question.size(), MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return broken(errno);

  Answer answer;
  answer.piece = {answer.bytes.data(), answer.bytes.size()};
  answer.message.msg_control = answer.control.data();
  answer.message.msg_controllen = answer.control.size();
  do {
    count = ::recvmsg(socket_, &answer.message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return broken(count < 0 ? errno : EPIPE);
  if (answer.bytes[0] != 0) {
    return Error{static_cast<ErrorCode>(answer.bytes[0] - 1),
                 std::string(answer.bytes.data() + 1, static_cast<std::size_t>(count) - 1),
                 {}};
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&answer.message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
    return broken(EMFILE);  // what the kernel leaves out where there are too many
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return ScopedFd(fd);
}

}  // namespace pythreads::attach
