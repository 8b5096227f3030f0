// The registers of one frame during a walk, as far as they are known: a call loses those that the callee may
// use freely, and what is lost is never taken for zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "attach/thread_state.h"
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
    known_ |= 1u << number;
  }
  void forget(std::size_t number) { known_ &= ~(1u << number); }

  // Always known: without them there is no frame.
  attach::Address pc() const { return attach::Address(values_[cfi_return_address]); }
  attach::Address sp() const { return attach::Address(values_[cfi_rsp]); }

 private:
  std::array<std::uint64_t, cfi_register_count> values_{};
  std::uint32_t known_ = 0;
};

}  // namespace pythreads::unwinder
