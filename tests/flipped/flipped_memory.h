// Memory that lies, the same lie each time that it is asked: of the words of another memory some are not what
// they were. Which ones, and what stands there, follows from the seed and the word's address alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "attach/memory.h"

namespace pythreads::tests {

// splitmix64
inline std::uint64_t scrambled(std::uint64_t value) {
  std::uint64_t z = value + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class FlippedMemory : public attach::Memory {
 public:
  // One of `rarity` words is another; `places` are those that a pointer may lead to.
  FlippedMemory(attach::Memory& sound, std::uint64_t seed, std::uint64_t rarity,
                const std::vector<std::uint64_t>& places)
      : sound_(sound), seed_(scrambled(seed)), rarity_(rarity), places_(places) {}

  std::size_t flips() const { return flips_; }

 private:
  std::size_t read_some(attach::Address from, std::span<std::byte> into) override {
    const std::size_t done = sound_.read_up_to(from, into);
    for (std::size_t offset = 0; offset < done;) {
      const std::uint64_t at = from.value + offset, inside = at % 8;
      const std::size_t count = std::min<std::size_t>(8 - inside, done - offset);
      const std::uint64_t chance = scrambled(seed_ ^ (at - inside));
      if (chance % rarity_ == 0)
        put_other(at - inside, scrambled(chance), inside, into.subspan(offset, count));
      offset += count;
    }
    return done;
  }

  // `bytes` are those of the word from its byte `first` on.
  void put_other(std::uint64_t word, std::uint64_t chance, std::uint64_t first, std::span<std::byte> bytes) {
    ++flips_;
    const std::uint64_t random = scrambled(chance);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto was = static_cast<std::uint64_t>(bytes[i]);
      bytes[i] = static_cast<std::byte>(other_byte(word, first + i, was, chance % 8, random));
    }
  }

  std::uint64_t other_byte(std::uint64_t word, std::uint64_t i, std::uint64_t was, std::uint64_t kind,
                           std::uint64_t random) const {
    const auto byte_of = [i](std::uint64_t value) { return value >> 8 * i & 0xff; };
    switch (kind) {
      case 0:
        return i == random % 8 ? was ^ std::uint64_t{1} << random / 8 % 8 : was;
      case 1:
        return i == random % 8 ? random >> 8 & 0xff : was;
      case 2:
        return random % 2 == 0 ? 0 : 0xff;
      case 3:
        return byte_of(word);  // it leads to itself
      case 4:
        return byte_of(places_.empty() ? 0 : places_[random % places_.size()] + (random >> 32) % 512 * 8);
      case 5:
        return byte_of(std::uint64_t{1} << random % 64);
      case 6:
        return byte_of(random % 256);
      default:
        return byte_of(random);
    }
  }

  attach::Memory& sound_;
  std::uint64_t seed_, rarity_;
  const std::vector<std::uint64_t>& places_;
  std::size_t flips_ = 0;
};

}  // namespace pythreads::tests
