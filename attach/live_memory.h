// The memory of a living process: process_vm_readv(2), many places in one call, and /proc/PID/mem where that
// is refused (seccomp filters of containers: ENOSYS, EPERM).
//
// The two differ in what they mean. A descriptor of `mem` belongs to the address space that it was opened on:
// after execve or the end of the process it reads nothing more, whoever has the pid by then. process_vm_readv
// asks by pid each time. So a batch is believed only while the process can't be replaced (it is held), or
// when `mem` says afterwards that its address space is still there.
//
// A page that is under userfaultfd and not there yet: process_vm_readv waits until somebody brings it, `mem`
// fails at once (EIO). Batches are read by process_vm_readv all the same, being three times as fast: the
// holder's budget and a fatal signal end such a wait for the target and for us.
#pragma once

#include <sys/types.h>

#include <memory>

#include "attach/memory.h"
#include "attach/scoped_fd.h"

namespace pythreads::attach {

class LiveMemory : public Memory {
 public:
  enum class Identity {
    held,     // the process is stopped by us: its pid is its own
    checked,  // it runs: one or two pieces are read by `mem`, a longer batch is followed by a look at it
  };

  // `tid` is any living thread of the process (the leader may have ended). `mem` may be a closed descriptor;
  // then `checked` can't be kept, and batches are believed.
  LiveMemory(pid_t tid, std::shared_ptr<const ScopedFd> mem, Identity identity);

  void read_pieces(std::span<Piece> pieces) override;

  // False once the address space that `mem` was opened on has no user any more (execve, the end).
  bool still_there() const;

 private:
  std::size_t read_some(Address from, std::span<std::byte> into) override;
  std::size_t read_by_mem(Address from, std::span<std::byte> into) const;
  bool read_by_process(std::span<Piece> pieces);

  pid_t tid_;
  std::shared_ptr<const ScopedFd> mem_;
  Identity identity_;
  bool process_vm_refused_ = false;
};

}  // namespace pythreads::attach
