// The registers of one frame during a walk, as far as they are known: a call loses those that the callee may
// use freely, and what is lost is never taken for zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "attach/architecture.h"
#include "unwinder/cfi.h"

namespace pythreads::unwinder {

class CpuState {
 public:
  static CpuState from(const attach::Registers& registers);

  std::optional<std::uint64_t> get(std::size_t number) const {
    if (number >= cfi_register_count || (known_ >> number & 1u) == 0) return std::nullopt;
    return values_[number];
  }
  void set(std::size_t number, std::uint64_t value) {
    values_[number] = value;
    known_ |= std::uint64_t{1} << number;
  }
  void forget(std::size_t number) { known_ &= ~(std::uint64_t{1} << number); }

  // A return address as a call left it: without its signature.
  void set_return(std::uint64_t address) { set(cfi_pc, address & ~signed_bits_); }

  // Always known: without them there is no frame.
  attach::Address pc() const { return attach::Address(values_[cfi_pc]); }
  attach::Address sp() const { return attach::Address(values_[cfi_sp]); }

 private:
  std::array<std::uint64_t, cfi_register_count> values_{};
  std::uint64_t signed_bits_ = 0;
  std::uint64_t known_ = 0;
};

}  // namespace pythreads::unwinder
