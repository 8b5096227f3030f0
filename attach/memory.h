// The target's bytes: one virtual read, everything else stands on it. Live processes, the pages kept from a
// stop, core files, recordings and the tests' fake are all a `Memory`; so is a cache over another one.
//
// Inside, a read may come back short (a page is not there). Outside, it is whole or it is an `Error` that
// holds the address: a failed read never looks like zeroes, for a zero would end a list early and nobody
// would know. Addresses come from an untrusted target and may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include "attach/address.h"
#include "attach/held_part.h"
#include "attach/result.h"

namespace pythreads::attach {

// One of many reads that are asked for at once.
struct Piece {
  Address from;
  std::span<std::byte> into;
  std::size_t got = 0;  // how many bytes, from the first on, were there
};

class Memory {
 public:
  virtual ~Memory() = default;

  // Fills all of `into`, or says at which address it could not. ErrorCode::unreadable.
  Result<void> read(Address from, std::span<std::byte> into);

  // As much as there is from `from` on, at most `into.size()`; 0 is a possible answer.
  std::size_t read_up_to(Address from, std::span<std::byte> into) { return read_some(from, into); }

  template <typename T>
  Result<T> read_value(Address from) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    Result<void> done = read(from, std::as_writable_bytes(std::span(&value, 1)));
    if (!done) return std::move(done).error();
    return value;
  }

  Result<Address> read_address(Address from) {
    Result<std::uint64_t> value = read_value<std::uint64_t>(from);
    if (!value) return std::move(value).error();
    return Address(*value);
  }

  // Many reads in as few system calls as can be; one that fails is skipped (`got`) and the others go on.
  virtual void read_pieces(std::span<Piece> pieces) {
    for (Piece& piece : pieces) piece.got = read_some(piece.from, piece.into);
  }

  // Up to the terminating zero; an error if there is none within `limit` bytes.
  Result<std::string> read_c_string(Address from, std::size_t limit);

  // Says what will be read next, so that a cache can fetch it all in one wave (few system calls, each page
  // once). Never fails: what can't be had is found out by the read. Without a cache it does nothing.
  virtual void prefetch(std::span<const Range> ranges) { static_cast<void>(ranges); }

  // Says what the reads from now on are for. False: that part is given up, and so it stays, for the pause
  // budget has no time left for it; nothing more of it should be read. Cheap: may be asked in a loop.
  virtual bool begin(HeldPart part) {
    static_cast<void>(part);
    return true;
  }

 private:
  virtual std::size_t read_some(Address from, std::span<std::byte> into) = 0;
};

}  // namespace pythreads::attach
