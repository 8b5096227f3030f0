#include "attach/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "attach/foreign_program.h"
#include "attach/live_files.h"
#include "attach/live_memory.h"
#include "attach/proc_dir.h"
#include "tests/support/fake_memory.h"
#include "tests/support/scoped_folder.h"

extern "C" {
// Looked up by name below. Not static, so that it stands in the symbol table.
extern int pythreads_test_landmark;
int pythreads_test_landmark = 4711;
extern thread_local int pythreads_test_thread_local;
thread_local int pythreads_test_thread_local = 1;
}

namespace pythreads::attach {
namespace {

using tests::FakeMemory;
using tests::ScopedFolder;

// A small library as the loader would map it: text at the start, data one page on in the file and two in
// memory.
class Image {
 public:
  Image() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
    header.e_machine = elf_machine;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 4;
    text = {PT_LOAD, PF_R | PF_X, 0, 0, 0, 0x1000, 0x1000, 0x1000};
    data = {PT_LOAD, PF_R | PF_W, 0x1000, 0x2000, 0x2000, 0x100, 0x800, 0x1000};
    notes = {PT_NOTE, PF_R, 0x400, 0x400, 0x400, 0, 0, 4};
    frames = {PT_GNU_EH_FRAME, PF_R, 0x800, 0x800, 0x800, 0x40, 0x40, 4};
  }

  void add_note(std::string_view name, std::uint32_t type, const std::vector<unsigned char>& description) {
    auto word = [this](std::size_t value) {
      auto bits = static_cast<std::uint32_t>(value);
      note_bytes.insert(note_bytes.end(), reinterpret_cast<char*>(&bits), reinterpret_cast<char*>(&bits) + 4);
    };
    word(name.size() + 1);
    word(description.size());
    word(type);
    note_bytes += name;
    note_bytes += '\0';
    note_bytes.resize((note_bytes.size() + 3) & ~std::size_t{3});
    note_bytes.append(description.begin(), description.end());
    note_bytes.resize((note_bytes.size() + 3) & ~std::size_t{3});
    notes.p_filesz = notes.p_memsz = note_bytes.size();
  }

  void map(std::uint64_t at) {
    base = at;
    mappings = {mapping(at, 0x1000, 0, "r-x"), mapping(at + 0x2000, 0x1000, 0x1000, "rw-")};
  }

  static Mapping mapping(std::uint64_t at, std::uint64_t size, std::uint64_t offset,
                         std::string_view rights) {
    Mapping made;
    made.range = {Address(at), size};
    made.readable = rights[0] == 'r';
    made.writable = rights[1] == 'w';
    made.executable = rights[2] == 'x';
    made.file_offset = offset;
    made.device = 0xfe01;
    made.inode = 99;
    made.path = "/lib/made.so";
    return made;
  }

  std::vector<Module> find() {
    memory.map({Address(base), 0x1000});
    memory.put(Address(base), header);
    memory.put(Address(base + sizeof header), std::array{text, data, notes, frames});
    memory.put_bytes(Address(base + 0x400), std::as_bytes(std::span(note_bytes)));
    return find_modules(mappings, memory);
  }

  Elf64_Ehdr header{};
  Elf64_Phdr text{}, data{}, notes{}, frames{};
  std::string note_bytes;
  std::uint64_t base = 0;
  std::vector<Mapping> mappings;
  FakeMemory memory;
};

constexpr std::uint64_t base = 0x7f0000000000;

TEST(FindModules, ReadsTheHeadersThatAreMapped) {
  Image image;
  image.add_note("stapsdt", NT_GNU_BUILD_ID, {9, 9});
  image.add_note("GNU", NT_GNU_BUILD_ID, {0xde, 0xad, 0x00, 0x0f});
  image.map(base);
  std::vector<Module> modules = image.find();
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].path, "/lib/made.so");
  EXPECT_EQ(modules[0].bias, base);
  EXPECT_EQ(modules[0].range, (Range{Address(base), 0x2800}));
  EXPECT_EQ(modules[0].build_id, "dead000f");
  EXPECT_EQ(modules[0].eh_frame_hdr, (Range{Address(base + 0x800), 0x40}));
  EXPECT_EQ(modules[0].first_mapping.range.begin, Address(base));
  EXPECT_EQ(modules[0].elf_header.size(), 64u);
}

TEST(FindModules, TheBiasIsNotTheBaseWhereTheFileBeginsElsewhere) {
  Image image;
  image.text.p_vaddr = 0x400000;
  image.data.p_vaddr = 0x402000;
  image.notes.p_vaddr = 0x400400;
  image.frames.p_vaddr = 0x400800;
  image.map(base);
  std::vector<Module> modules = image.find();
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].bias, base - 0x400000);
  EXPECT_EQ(modules[0].range.begin, Address(base));

  image.header.e_type = ET_EXEC;
  EXPECT_TRUE(image.find().empty());  // an executable that is not where it must be
  Image fixed = Image();
  fixed.header.e_type = ET_EXEC;
  fixed.text.p_vaddr = 0x400000;
  fixed.data.p_vaddr = 0x402000;
  fixed.map(0x400000);
  modules = fixed.find();
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].bias, 0u);
}

TEST(FindModules, AFileThatIsOnlyMappedIsNone) {
  struct Case {
    const char* name;
    std::vector<Mapping> mappings;
  };
  for (const Case& each : {
           Case{"as data", {Image::mapping(base, 0x3000, 0, "r--")}},
           Case{"whole, executable", {Image::mapping(base, 0x3000, 0, "r-x")}},
           Case{"text alone", {Image::mapping(base, 0x1000, 0, "r-x")}},
           Case{"text not executable, data is",
                {Image::mapping(base, 0x1000, 0, "r--"),
                 Image::mapping(base + 0x2000, 0x1000, 0x1000, "rwx")}},
           Case{"data of another place",
                {Image::mapping(base, 0x1000, 0, "r-x"),
                 Image::mapping(base + 0x2000, 0x1000, 0x5000, "rw-")}},
           Case{"header not readable",
                {Image::mapping(base, 0x1000, 0, "--x"),
                 Image::mapping(base + 0x2000, 0x1000, 0x1000, "rw-")}},
       }) {
    Image image;
    image.map(base);
    image.mappings = each.mappings;
    EXPECT_TRUE(image.find().empty()) << each.name;
  }
}

TEST(FindModules, AFileMappedWholeIsNoneThoughEachSegmentLiesRight) {
  Image image;
  image.data.p_offset = image.data.p_vaddr;
  image.map(base);
  image.mappings = {Image::mapping(base, 0x3000, 0, "r-x")};
  EXPECT_TRUE(image.find().empty());
  image.mappings = {Image::mapping(base, 0x2000, 0, "r-x"),
                    Image::mapping(base + 0x2000, 0x1000, 0x2000, "rw-")};
  EXPECT_EQ(image.find().size(), 1u);
}

TEST(FindModules, ALibraryThatIsLoadedTwiceIsTwo) {
  Image image;
  image.map(base + 0x100000);
  image.find();
  std::vector<Mapping> second = image.mappings;
  image.map(base);
  image.mappings.insert(image.mappings.end(), second.begin(), second.end());
  std::vector<Module> modules = image.find();
  ASSERT_EQ(modules.size(), 2u);
  EXPECT_EQ(modules[0].bias, base);
  EXPECT_EQ(modules[1].bias, base + 0x100000);
}

TEST(FindModules, TextThatWasMovedToHugePagesStillBelongs) {
  Image image;
  image.header.e_phnum = 4;
  image.text = {PT_LOAD, PF_R, 0, 0, 0, 0x1000, 0x1000, 0x1000};
  image.frames = {PT_LOAD, PF_R | PF_X, 0x3000, 0x4000, 0x4000, 0x1000, 0x1000, 0x1000};
  image.map(base);
  image.mappings[0].executable = false;
  Mapping anonymous;
  anonymous.range = {Address(base + 0x4000), 0x1000};
  anonymous.readable = anonymous.executable = true;
  image.mappings.push_back(anonymous);
  image.mappings.push_back(Image::mapping(base + 0x5000, 0x1000, 0x4000, "r-x"));
  EXPECT_EQ(image.find().size(), 1u);
}

TEST(FindModules, AHeaderThatLiesIsLeftOut) {
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  struct Case {
    const char* name;
    void (*change)(Image&);
  };
  for (const Case& each : {
           Case{"magic", [](Image& i) { i.header.e_ident[0] = 'E'; }},
           Case{"32-bit", [](Image& i) { i.header.e_ident[EI_CLASS] = ELFCLASS32; }},
           Case{"machine", [](Image& i) { i.header.e_machine = EM_ARM; }},
           Case{"object file", [](Image& i) { i.header.e_type = ET_REL; }},
           Case{"no program headers", [](Image& i) { i.header.e_phnum = 0; }},
           Case{"many program headers", [](Image& i) { i.header.e_phnum = 0xffff; }},
           Case{"program headers outside", [](Image& i) { i.header.e_phoff = 0xff0; }},
           Case{"program headers far outside", [](Image& i) { i.header.e_phoff = huge - 8; }},
           Case{"program header size", [](Image& i) { i.header.e_phentsize = 8; }},
           Case{"text address", [](Image& i) { i.text.p_vaddr = huge - 0xfff; }},
           Case{"text size", [](Image& i) { i.text.p_memsz = huge; }},
           Case{"data address", [](Image& i) { i.data.p_vaddr = huge; }},
           Case{"data size", [](Image& i) { i.data.p_memsz = huge; }},
           Case{"more in the file than in memory", [](Image& i) { i.data.p_filesz = i.data.p_memsz + 1; }},
           Case{"no text", [](Image& i) { i.text.p_flags = PF_R; }},
           Case{"no load segment", [](Image& i) { i.text.p_type = i.data.p_type = PT_NULL; }},
       }) {
    Image image;
    image.map(base);
    each.change(image);
    EXPECT_TRUE(image.find().empty()) << each.name;
  }
}

TEST(ForeignArchitecture, IsNamedByTheFirstElfFile) {
  Image image;
  image.map(base);
  EXPECT_FALSE(image.find().empty());
  EXPECT_EQ(find_foreign_architecture(image.mappings, image.memory), std::nullopt) << "our own";
  image.header.e_ident[EI_CLASS] = ELFCLASS32;
  image.header.e_machine = EM_386;
  image.memory.put(Address(base), image.header);
  EXPECT_EQ(find_foreign_architecture(image.mappings, image.memory), "32-bit x86");
  image.header.e_machine = 4711;
  image.memory.put(Address(base), image.header);
  EXPECT_EQ(find_foreign_architecture(image.mappings, image.memory), "ELF machine 4711");
  image.header.e_ident[0] = 'E';
  image.memory.put(Address(base), image.header);
  EXPECT_EQ(find_foreign_architecture(image.mappings, image.memory), std::nullopt) << "no ELF file";
}

TEST(FindModules, NotesAndFramesThatLieAreLeftOutAlone) {
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  struct Case {
    const char* name;
    void (*change)(Image&);
  };
  for (const Case& each : {
           Case{"notes address", [](Image& i) { i.notes.p_vaddr = huge - 3; }},
           Case{"notes size", [](Image& i) { i.notes.p_memsz = i.notes.p_filesz = huge; }},
           Case{"name size", [](Image& i) { i.note_bytes.replace(0, 4, "\xff\xff\xff\xff"); }},
           Case{"description size", [](Image& i) { i.note_bytes.replace(4, 4, "\xff\xff\xff\xff"); }},
           Case{"cut", [](Image& i) { i.notes.p_memsz = i.notes.p_filesz = 17; }},
       }) {
    Image image;
    image.add_note("GNU", NT_GNU_BUILD_ID, {1, 2, 3, 4});
    image.frames.p_vaddr = huge - 0x10;
    image.map(base);
    each.change(image);
    std::vector<Module> modules = image.find();
    ASSERT_EQ(modules.size(), 1u) << each.name;
    EXPECT_EQ(modules[0].build_id, "") << each.name;
    EXPECT_EQ(modules[0].eh_frame_hdr.size, 0u) << each.name;
  }
}

TEST(FindModules, FilesThatAreOnlyDataAreNotRead) {
  Image image;
  image.map(base);
  image.mappings = {Image::mapping(base, 0x1000, 0, "r--")};
  image.find();
  EXPECT_EQ(image.memory.reads() + image.memory.batches(), 0u);
}

class OurModules : public testing::Test {
 protected:
  void SetUp() override { look(); }

  void look() {
    Result<ProcDir> dir = ProcDir::open(::getpid());
    ASSERT_TRUE(dir);
    Result<std::vector<Mapping>> mappings = dir->read_mappings();
    ASSERT_TRUE(mappings);
    auto mem = std::make_shared<ScopedFd>(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
    LiveMemory memory(::getpid(), mem, LiveMemory::Identity::checked);
    modules_ = find_modules(*mappings, memory);
    files_ = make_target_files(*dir);
  }

  const Module* find(const std::string& path) const {
    auto found =
        std::find_if(modules_.begin(), modules_.end(), [&](const Module& m) { return m.path == path; });
    return found == modules_.end() ? nullptr : &*found;
  }

  std::string own_path_ = std::filesystem::read_symlink("/proc/self/exe");
  std::vector<Module> modules_;
  std::unique_ptr<TargetFiles> files_;
};

TEST_F(OurModules, ASymbolIsWhereItIs) {
  const Module* own = find(own_path_);
  ASSERT_TRUE(own);
  Result<ModuleSymbols> symbols = read_symbols(
      *own, *files_,
      {"pythreads_test_landmark", "no such symbol", "main", "pythreads_test_thread_local", "getpid"},
      {".text", ".no_such_section", ".comment", ".bss"});
  ASSERT_TRUE(symbols) << symbols.error().message;
  ASSERT_EQ(symbols->found.size(), 5u);
  ASSERT_TRUE(symbols->found[0]);
  EXPECT_EQ(symbols->found[0]->address, Address(reinterpret_cast<std::uint64_t>(&pythreads_test_landmark)));
  EXPECT_EQ(symbols->found[0]->size, sizeof(int));
  EXPECT_FALSE(symbols->found[1]);
  EXPECT_TRUE(symbols->found[2]);
  EXPECT_FALSE(symbols->found[3]) << "a thread-local symbol has an offset and no address";
  EXPECT_FALSE(symbols->found[4]) << "an undefined symbol has no address";
  ASSERT_TRUE(symbols->sections[0]);
  EXPECT_TRUE(symbols->sections[0]->contains(symbols->found[2]->address));
  EXPECT_FALSE(symbols->sections[1]);
  EXPECT_FALSE(symbols->sections[2]) << "a section that is not loaded has no address";
  EXPECT_TRUE(symbols->sections[3]);
  EXPECT_TRUE(symbols->has_symtab);
}

TEST_F(OurModules, AStrippedLibraryHasItsDynamicSymbols) {
  Dl_info info{};
  ASSERT_NE(::dladdr(reinterpret_cast<void*>(&::dlsym), &info), 0);
  const Module* libc = find(std::filesystem::canonical(info.dli_fname));
  ASSERT_TRUE(libc);
  EXPECT_NE(libc->build_id, "");
  EXPECT_GT(libc->eh_frame_hdr.size, 0u);
  Result<ModuleSymbols> symbols = read_symbols(*libc, *files_, {"dlsym"}, {});
  ASSERT_TRUE(symbols) << symbols.error().message;
  ASSERT_TRUE(symbols->found[0]);
  EXPECT_EQ(symbols->found[0]->address,
            Address(reinterpret_cast<std::uint64_t>(::dlsym(RTLD_DEFAULT, "dlsym"))));
}

TEST_F(OurModules, TheKernelsIsAmongThem) {
  const Module* vdso = find("[vdso]");
  ASSERT_TRUE(vdso);
  EXPECT_NE(vdso->build_id, "");
  Result<ModuleSymbols> symbols = read_symbols(*vdso, *files_, {}, {});
  ASSERT_FALSE(symbols);
  EXPECT_EQ(symbols.error().code, ErrorCode::unreadable);
}

TEST_F(OurModules, TheExecutableMappedOnceMoreIsNotASecondOne) {
  ScopedFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  auto size = static_cast<std::size_t>(std::filesystem::file_size(own_path_));
  void* as_data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  void* as_code = ::mmap(nullptr, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file.get(), 0);
  ASSERT_NE(as_data, MAP_FAILED);
  ASSERT_NE(as_code, MAP_FAILED);
  look();
  ::munmap(as_data, size);
  ::munmap(as_code, size);
  EXPECT_EQ(
      std::count_if(modules_.begin(), modules_.end(), [&](const Module& m) { return m.path == own_path_; }),
      1);
  Address landmark(reinterpret_cast<std::uint64_t>(&pythreads_test_landmark));
  EXPECT_TRUE(find(own_path_)->range.contains(landmark));
}

// Gives one file for every mapping.
class OneFile final : public TargetFiles {
 public:
  explicit OneFile(std::string path) : path_(std::move(path)) {}
  Result<ScopedFd> open_mapping(const Mapping&) override { return open_path({}); }
  Result<ScopedFd> open_path(std::string_view) override {
    return ScopedFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  Result<ScopedFd> open_debug_file(std::string_view) override { return open_path({}); }

 private:
  std::string path_;
};

TEST_F(OurModules, AnotherFileIsRefused) {
  const Module* own = find(own_path_);
  ASSERT_TRUE(own);
  OneFile another(std::filesystem::canonical("/bin/sleep"));
  Result<ModuleSymbols> symbols = read_symbols(*own, another, {"main"}, {});
  ASSERT_FALSE(symbols);
  EXPECT_EQ(symbols.error().code, ErrorCode::corrupt);
  EXPECT_NE(symbols.error().message.find("not the one that is mapped"), std::string::npos)
      << symbols.error().message;

  Module without_id = *own;
  without_id.build_id.clear();
  EXPECT_FALSE(read_symbols(without_id, another, {"main"}, {}));
  EXPECT_TRUE(read_symbols(without_id, *files_, {"main"}, {}));
}

TEST_F(OurModules, AFileThatIsCutShortIsAnError) {
  const Module* own = find(own_path_);
  ASSERT_TRUE(own);
  ScopedFolder folder;
  std::string path = folder.at("cut");
  std::filesystem::copy_file(own_path_, path);
  OneFile cut(path);
  ASSERT_TRUE(read_symbols(*own, cut, {"pythreads_test_landmark"}, {".text"}));
  // The section headers stand at the end of the file.
  std::uintmax_t whole = std::filesystem::file_size(path);
  for (std::uintmax_t size : {whole - 1, whole - 100, whole / 2, std::uintmax_t{4096}, std::uintmax_t{64},
                              std::uintmax_t{63}, std::uintmax_t{10}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path, size);
    Result<ModuleSymbols> symbols = read_symbols(*own, cut, {"pythreads_test_landmark"}, {".text"});
    ASSERT_FALSE(symbols) << size;
    EXPECT_EQ(symbols.error().code, ErrorCode::corrupt) << size;
  }
}

TEST_F(OurModules, SpoiltSectionHeadersNeverGiveAWrongAddress) {
  const Module* own = find(own_path_);
  ASSERT_TRUE(own);
  ScopedFolder folder;
  std::string path = folder.at("spoilt");
  std::filesystem::copy_file(own_path_, path);
  OneFile file(path);
  ScopedFd writing(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  Elf64_Ehdr header{};
  ASSERT_EQ(::pread(writing.get(), &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
  Address landmark(reinterpret_cast<std::uint64_t>(&pythreads_test_landmark));
  int found = 0;
  // The tables and every fourth of the rest: there are some fifty.
  for (int i = 0; i < header.e_shnum; ++i) {
    auto at = static_cast<off_t>(header.e_shoff) + i * header.e_shentsize;
    Elf64_Shdr kept{};
    ASSERT_EQ(::pread(writing.get(), &kept, sizeof kept, at), static_cast<ssize_t>(sizeof kept));
    bool is_table = kept.sh_type == SHT_SYMTAB || kept.sh_type == SHT_STRTAB || kept.sh_type == SHT_DYNSYM;
    if (!is_table && i % 4 != 0) continue;
    for (std::size_t byte = 4; byte < sizeof kept; byte += 4) {
      Elf64_Shdr spoilt = kept;
      std::memset(reinterpret_cast<char*>(&spoilt) + byte, 0xff, 4);
      ASSERT_EQ(::pwrite(writing.get(), &spoilt, sizeof spoilt, at), static_cast<ssize_t>(sizeof spoilt));
      Result<ModuleSymbols> symbols = read_symbols(*own, file, {"pythreads_test_landmark"}, {".text"});
      if (!symbols || !symbols->found[0]) continue;
      EXPECT_EQ(symbols->found[0]->address, landmark) << i;
      ++found;
    }
    ASSERT_EQ(::pwrite(writing.get(), &kept, sizeof kept, at), static_cast<ssize_t>(sizeof kept));
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace pythreads::attach
