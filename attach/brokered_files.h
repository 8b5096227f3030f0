// `TargetFiles` over a socket: for a reader that may open nothing (sandbox.h), whose files are opened by the
// process that made it. The reader is not believed, for it reads what others made. It names a module's first
// mapping by its address, or a build id, and gets only what the modules of the target have, opened for
// reading: never a file at a path of its own choice.
//
// Each question and each answer is one packet (SOCK_SEQPACKET), the descriptor comes with the answer:
// unix(7), SCM_RIGHTS.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attach/target.h"
#include "attach/target_files.h"

namespace pythreads::attach {

// The first byte of what a reader says.
enum class Packet : char {
  mapping = 'm',     // a question: the address of a mapping, 8 bytes
  debug_file = 'd',  // a question: a build id
  result = 'r',      // a piece of what it read
  end = 'e',         // that was all of it
  fault = 'f',       // it can't go on: why
};

// The longest packet, of all kinds.
inline constexpr std::size_t longest_packet = 16 * 1024;

// The reader's side. `socket` must outlive it.
class BrokeredFiles final : public TargetFiles {
 public:
  explicit BrokeredFiles(int socket) : socket_(socket) {}

  Result<ScopedFd> open_mapping(const Mapping& mapping) override;
  Result<ScopedFd> open_path(std::string_view path) override;  // refused: nothing that is read apart needs it
  Result<ScopedFd> open_debug_file(std::string_view build_id) override;

 private:
  Result<ScopedFd> ask(std::string_view question);

  int socket_;
};

// The other side: answers one question, of the modules and by the files of `target`. False: it was none, or
// the reader takes no answer; then it is not to be talked to any more.
bool answer_for_files(int socket, std::string_view question, Target& target);

}  // namespace pythreads::attach
