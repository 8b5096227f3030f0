#include "unwinder/architecture.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <initializer_list>

namespace pythreads::unwinder {
namespace {

using attach::Address;

template <std::size_t Size>
std::array<std::uint8_t, Size> bytes(std::initializer_list<int> values) {
  std::array<std::uint8_t, Size> code{};
  std::size_t i = 0;
  for (const int value : values) code.at(i++) = static_cast<std::uint8_t>(value);
  return code;
}

#if defined(__x86_64__)
TEST(Architecture, WhereADirectCallLeads) {
  // call -0x10; call *%rax; call *8(%rip)
  EXPECT_EQ(called_directly(bytes<longest_call>({0, 0, 0, 0xe8, 0xf0, 0xff, 0xff, 0xff}), Address(0x5000)),
            Address(0x4ff0));
  EXPECT_FALSE(called_directly(bytes<longest_call>({0, 0, 0, 0, 0, 0, 0xff, 0xd0}), Address(0x5000)));
  EXPECT_FALSE(called_directly(bytes<longest_call>({0, 0, 0xff, 0x15, 8, 0, 0, 0}), Address(0x5000)));
}

TEST(Architecture, WhereALinkageEntryKeepsItsAddress) {
  EXPECT_EQ(linkage_slot(bytes<linkage_entry_bytes>({0xff, 0x25, 0x10, 0, 0, 0}), Address(0x5000)),
            Address(0x5016));
  EXPECT_EQ(linkage_slot(bytes<linkage_entry_bytes>(
                             {0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0xf5, 0xff, 0xff, 0xff}),
                         Address(0x5000)),
            Address(0x5000));
  EXPECT_FALSE(linkage_slot(bytes<linkage_entry_bytes>({0x55, 0x48, 0x89, 0xe5}), Address(0x5000)));
}
#elif defined(__aarch64__)
TEST(Architecture, WhereADirectCallLeads) {
  // bl -0x10; blr x8
  EXPECT_EQ(called_directly(bytes<longest_call>({0, 0, 0, 0, 0xfc, 0xff, 0xff, 0x97}), Address(0x5000)),
            Address(0x4fec));
  EXPECT_FALSE(called_directly(bytes<longest_call>({0, 0, 0, 0, 0x00, 0x01, 0x3f, 0xd6}), Address(0x5000)));
}

TEST(Architecture, WhereALinkageEntryKeepsItsAddress) {
  // adrp x16, +0x1000; ldr x17, [x16, #16]
  EXPECT_EQ(
      linkage_slot(bytes<linkage_entry_bytes>({0x10, 0, 0, 0xb0, 0x11, 0x0a, 0x40, 0xf9}), Address(0x5010)),
      Address(0x6010));
  EXPECT_FALSE(linkage_slot(bytes<linkage_entry_bytes>({0x1f, 0x20, 0x03, 0xd5}), Address(0x5000)));
}
#endif

}  // namespace
}  // namespace pythreads::unwinder
