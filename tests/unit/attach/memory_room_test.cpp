#include "attach/memory_room.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/scoped_folder.h"

namespace pythreads::attach {
namespace {

using tests::ScopedFolder;

constexpr std::uint64_t mib = 1024 * 1024;

TEST(MemoryRoom, OfVersionTwoIsTheNarrowestOfThoseAbove) {
  ScopedFolder folder;
  folder.write("proc/self/cgroup", "0::/pod/app\n");
  folder.write("proc/self/mounts",
               "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,relatime 0 0\n");
  folder.write("sys/fs/cgroup/pod/app/memory.max", "max\n");
  folder.write("sys/fs/cgroup/pod/app/memory.current", "1000\n");
  folder.write("sys/fs/cgroup/pod/memory.max", std::to_string(512 * mib) + "\n");
  folder.write("sys/fs/cgroup/pod/memory.current", std::to_string(500 * mib) + "\n");
  folder.write("sys/fs/cgroup/pod/memory.stat",
               "anon 1\nfile 2\ninactive_file " + std::to_string(8 * mib) + "\nactive_file 3\n");
  const std::optional<MemoryRoom> room = find_memory_room(folder.at(""));
  ASSERT_TRUE(room.has_value());
  EXPECT_EQ(room->limit, 512 * mib);
  EXPECT_EQ(room->left, 20 * mib);
  EXPECT_EQ(room->cgroup, "/sys/fs/cgroup/pod");
}

TEST(MemoryRoom, OfVersionOne) {
  ScopedFolder folder;
  folder.write("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/docker/c0ffee\n0::/\n");
  folder.write(
      "proc/self/mounts",
      "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
  // In a container the path of the host is not there; what is mounted is the container's own.
  folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(100 * mib) + "\n");
  folder.write("sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(130 * mib) + "\n");
  folder.write("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 0\n");
  const std::optional<MemoryRoom> room = find_memory_room(folder.at(""));
  ASSERT_TRUE(room.has_value());
  EXPECT_EQ(room->left, 0u);
  EXPECT_EQ(room->cgroup, "/sys/fs/cgroup/memory");
}

TEST(MemoryRoom, WithoutALimitThereIsNone) {
  ScopedFolder folder;
  folder.write("proc/self/cgroup", "4:memory:/\nspoiled\n0::/\n");
  folder.write("proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\nspoiled\n");
  folder.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  folder.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n");
  EXPECT_FALSE(find_memory_room(folder.at("")).has_value());
  EXPECT_FALSE(find_memory_room(folder.at("nowhere")).has_value());
}

TEST(MemoryRoom, EstimateGrowsWithTheThreads) {
  EXPECT_GT(estimate_memory(1), 10 * mib);
  EXPECT_GT(estimate_memory(1000), estimate_memory(1) + 100 * mib);
}

}  // namespace
}  // namespace pythreads::attach
