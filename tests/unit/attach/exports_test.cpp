#include "attach/exports.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "attach/live_memory.h"
#include "attach/proc_dir.h"
#include "tests/support/fake_memory.h"

namespace pythreads::attach {
namespace {

// What is asked of our own process is compared with what its dynamic linker says.
TEST(Exports, AreThoseThatTheLoaderFinds) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<std::vector<Mapping>> mappings = dir->read_mappings();
  ASSERT_TRUE(mappings);
  LiveMemory memory(::getpid(), std::make_shared<ScopedFd>(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)),
                    LiveMemory::Identity::checked);
  Dl_info info{};
  ASSERT_NE(::dladdr(reinterpret_cast<void*>(&::dlsym), &info), 0);
  const std::string libc = std::filesystem::canonical(info.dli_fname);
  bool seen = false;
  for (const Module& module : find_modules(*mappings, memory)) {
    if (module.path != libc) continue;
    seen = true;
    const auto found = find_exports(module, memory, {"dlsym", "environ", "no_such_name", "", "dlsy"});
    ASSERT_EQ(found.size(), 5u);
    for (std::size_t i = 0; i < 2; ++i) {
      const char* name = i == 0 ? "dlsym" : "environ";
      ASSERT_TRUE(found[i]) << name;
      EXPECT_EQ(found[i]->address, Address(reinterpret_cast<std::uint64_t>(::dlsym(RTLD_DEFAULT, name))));
      EXPECT_GT(found[i]->size, 0u);
    }
    EXPECT_FALSE(found[2] || found[3] || found[4]);
  }
  EXPECT_TRUE(seen);
}

// A module made by hand, with one of the two kinds of hash table.
class MadeModule : public testing::Test {
 protected:
  static constexpr std::uint64_t base = 0x7f0000000000;
  static constexpr std::uint64_t names = 0x100, symbols = 0x200, hash = 0x300;

  MadeModule() {
    module.path = "/lib/made.so";
    module.bias = base;
    module.range = {Address(base), 0x2000};
    module.dynamic = {Address(base + 0x800), 0x100};
    memory.map(module.range);
    memory.put_c_string(Address(base + names + 1), "wanted");
    memory.put_c_string(Address(base + names + 8), "missing");
    put_symbol(1, 1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 5, 0x1000);
    put_symbol(2, 8, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), SHN_UNDEF, 0);
  }

  void put_symbol(std::uint64_t index, std::uint32_t name, int info, int section, std::uint64_t value) {
    Elf64_Sym symbol{};
    symbol.st_name = name;
    symbol.st_info = static_cast<unsigned char>(info);
    symbol.st_shndx = static_cast<std::uint16_t>(section);
    symbol.st_value = value;
    symbol.st_size = 16;
    memory.put(Address(base + symbols + index * sizeof symbol), symbol);
  }

  // As in the file (musl), or with the bias added in place (glibc).
  void put_dynamic(std::uint64_t added, Elf64_Sxword kind) {
    const std::array<Elf64_Dyn, 5> entries{{{DT_STRTAB, {names + added}},
                                            {DT_SYMTAB, {symbols + added}},
                                            {DT_STRSZ, {0x40}},
                                            {kind, {hash + added}},
                                            {DT_NULL, {0}}}};
    memory.put(module.dynamic.begin, entries);
  }

  // One bucket: whatever the hash of a name is, its chain begins at symbol 1.
  void put_plain_hash() { memory.put(Address(base + hash), std::array<std::uint32_t, 6>{1, 3, 1, 0, 2, 0}); }

  Module module;
  tests::FakeMemory memory;
};

TEST_F(MadeModule, HasAPlainHashTable) {
  put_plain_hash();
  for (const std::uint64_t added : {std::uint64_t{0}, base}) {
    put_dynamic(added, DT_HASH);
    const auto found = find_exports(module, memory, {"wanted", "missing"});
    ASSERT_TRUE(found[0]);
    EXPECT_EQ(found[0]->address, Address(base + 0x1000));
    EXPECT_FALSE(found[1]);  // undefined here
  }
}

TEST_F(MadeModule, ThatCannotBeTrueExportsNothing) {
  put_plain_hash();
  put_dynamic(0, DT_HASH);
  const auto nothing = [&] { return !find_exports(module, memory, {"wanted"})[0]; };
  ASSERT_FALSE(nothing());

  memory.put(Address(base + hash), std::uint32_t{0});  // no buckets
  EXPECT_TRUE(nothing());
  put_plain_hash();
  memory.put(Address(base + hash + 8), std::uint32_t{0xffffffff});  // a symbol far outside
  EXPECT_TRUE(nothing());
  memory.put(Address(base + hash),
             std::array<std::uint32_t, 6>{1, 3, 2, 0, 2, 2});  // a chain that never ends
  EXPECT_TRUE(nothing());
  put_plain_hash();
  put_symbol(1, 0x3d, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 5, 0x1000);  // a name past the names' end
  EXPECT_TRUE(nothing());
  put_symbol(1, 1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 5, 0x4000);  // an address outside of the module
  EXPECT_TRUE(nothing());
  put_symbol(1, 1, ELF64_ST_INFO(STB_GLOBAL, STT_TLS), 5, 0x1000);
  EXPECT_TRUE(nothing());
  put_symbol(1, 1, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 5, 0x1000);
  EXPECT_FALSE(nothing());

  put_dynamic(0, DT_GNU_HASH);
  memory.put(Address(base + hash),
             std::array<std::uint32_t, 4>{1, 1, 0xffffffff, 6});  // a filter without end
  EXPECT_TRUE(nothing());
  put_dynamic(0x100000, DT_HASH);  // tables outside of the module
  EXPECT_TRUE(nothing());
  module.dynamic = {};
  EXPECT_TRUE(nothing());
}

}  // namespace
}  // namespace pythreads::attach
