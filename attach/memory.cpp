#include "attach/memory.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace pythreads::attach {
namespace {

std::string hex(Address at) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(at.value));
  return text.data();
}

}  // namespace

Result<void> Memory::read(Address from, std::span<std::byte> into) {
  const std::size_t got = read_some(from, into);
  if (got == into.size()) return {};
  return Error{ErrorCode::unreadable,
               "no memory at " + hex(from + got) + " (" + std::to_string(got) + " of " +
                   std::to_string(into.size()) + " bytes from " + hex(from) + ")",
               ""};
}

Result<std::string> Memory::read_c_string(Address from, std::size_t limit) {
  // Never asks across the end of a 256-byte block at once: the string may be the last thing in its page.
  constexpr std::uint64_t block = 256;
  std::string text;
  std::array<std::byte, block> bytes{};
  while (text.size() < limit) {
    const Address at = from + text.size();
    const std::size_t wanted =
        std::min<std::size_t>(static_cast<std::size_t>(block - at.value % block), limit - text.size());
    const std::size_t got = read_some(at, std::span(bytes).first(wanted));
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(got);
    const auto zero = std::find(bytes.begin(), end, std::byte{0});
    text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(zero - bytes.begin()));
    if (zero != end) return text;
    if (got < wanted) {
      return Error{ErrorCode::unreadable,
                   "no memory at " + hex(from + text.size()) + ", within the string at " + hex(from), ""};
    }
  }
  return Error{ErrorCode::corrupt,
               "the string at " + hex(from) + " does not end within " + std::to_string(limit) + " bytes", ""};
}

}  // namespace pythreads::attach
