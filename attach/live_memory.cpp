#include "attach/live_memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace pythreads::attach {
namespace {

constexpr std::size_t max_pieces = 1024;                   // UIO_MAXIOV
constexpr std::size_t max_batch_bytes = 64 * 1024 * 1024;  // far below MAX_RW_COUNT, which cuts short

}  // namespace

LiveMemory::LiveMemory(pid_t tid, std::shared_ptr<const ScopedFd> mem, Identity identity)
    : tid_(tid), mem_(std::move(mem)), identity_(identity) {}

std::size_t LiveMemory::read_some(Address from, std::span<std::byte> into) {
  if (into.empty()) return 0;
  if (identity_ == Identity::checked && mem_ && mem_->is_open()) return read_by_mem(from, into);
  std::array<Piece, 1> one{Piece{from, into}};
  read_pieces(one);
  return one[0].got;
}

std::size_t LiveMemory::read_by_mem(Address from, std::span<std::byte> into) const {
  if (!mem_ || !mem_->is_open()) return 0;
  std::size_t done = 0;
  while (done < into.size()) {
    const Address at = from + done;
    if (at.value > static_cast<std::uint64_t>(INT64_MAX)) break;  // pread(2): EINVAL
    const ssize_t got =
        ::pread(mem_->get(), into.data() + done, into.size() - done, static_cast<off_t>(at.value));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

bool LiveMemory::still_there() const {
  if (!mem_ || !mem_->is_open()) return true;
  // mem_rw answers 0 when the address space has lost its last user, before it looks at the address
  // (fs/proc/base.c at v6.1); page 0 is never mapped, so EIO is what a living one says.
  std::byte byte{};
  ssize_t got = 0;
  do {
    got = ::pread(mem_->get(), &byte, 1, 1);
  } while (got < 0 && errno == EINTR);
  return got != 0;
}

// False: process_vm_readv is not to be had here.
bool LiveMemory::read_by_process(std::span<Piece> pieces) {
  std::array<iovec, max_pieces> local;   // NOLINT: filled below, as far as it is used
  std::array<iovec, max_pieces> remote;  // NOLINT
  std::size_t first = 0;
  while (first < pieces.size()) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < max_pieces && first + count < pieces.size() && (count == 0 || bytes < max_batch_bytes)) {
      const Piece& piece = pieces[first + count];
      local[count] = iovec{piece.into.data(), piece.into.size()};
      remote[count] = iovec{reinterpret_cast<void*>(piece.from.value), piece.into.size()};
      bytes += piece.into.size();
      ++count;
    }
    const ssize_t result = ::process_vm_readv(tid_, local.data(), count, remote.data(), count, 0);
    if (result < 0 && errno == EINTR) continue;
    if (result < 0 && errno == EFAULT) {
      pieces[first].got = 0;
      ++first;
      continue;
    }
    if (result < 0) return false;  // ENOSYS, EPERM; ESRCH: `mem` may still know it
    std::size_t left = static_cast<std::size_t>(result);
    std::size_t next = first;
    while (next < first + count && left >= pieces[next].into.size()) {
      left -= pieces[next].into.size();
      pieces[next].got = pieces[next].into.size();
      ++next;
    }
    if (next < first + count) {
      pieces[next].got = left;  // where it stopped; the rest of the batch is asked for again
      ++next;
    }
    first = next;
  }
  return true;
}

void LiveMemory::read_pieces(std::span<Piece> pieces) {
  for (Piece& piece : pieces) piece.got = 0;
  // To check costs a call as well.
  const bool by_mem = identity_ == Identity::checked && pieces.size() <= 2 && mem_ && mem_->is_open();
  if (!process_vm_refused_ && !by_mem) {
    if (read_by_process(pieces)) {
      if (identity_ == Identity::checked && !still_there()) {
        for (Piece& piece : pieces) piece.got = 0;
      }
      return;
    }
    process_vm_refused_ = true;
  }
  for (Piece& piece : pieces) piece.got = read_by_mem(piece.from, piece.into);
}

}  // namespace pythreads::attach
