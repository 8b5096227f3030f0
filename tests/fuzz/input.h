// Numbers off the front of an input, so that one input says where to look as well as at what. Past its end
// they are 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace pythreads::tests {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  template <typename T>
  T take() {
    T value{};
    const std::size_t count = left_.size() < sizeof value ? left_.size() : sizeof value;
    if (count != 0) std::memcpy(&value, left_.data(), count);
    left_ = left_.subspan(count);
    return value;
  }

  bool is_empty() const { return left_.empty(); }
  std::span<const std::uint8_t> rest() const { return left_; }

 private:
  std::span<const std::uint8_t> left_;
};

}  // namespace pythreads::tests
