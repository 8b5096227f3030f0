#include "attach/live_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/support/scoped_child.h"
#include "tests/support/scoped_folder.h"

namespace pythreads::attach {
namespace {

using tests::ScopedChild;
using tests::ScopedFolder;

std::string content_of(const Result<ScopedFd>& file) {
  if (!file) return "error: " + file.error().message;
  std::array<char, 4096> text{};
  ssize_t length = ::read(file->get(), text.data(), text.size());
  return length < 0 ? std::strerror(errno) : std::string(text.data(), static_cast<std::size_t>(length));
}

bool is_root() {
  return ::geteuid() == 0;
}

// Both ways of resolving a path must give the same.
class InRoot : public testing::TestWithParam<Result<ScopedFd> (*)(int, std::string_view)> {
 protected:
  void SetUp() override {
    folder_.write("outside.txt", "outside");
    folder_.write("root/etc/passwd", "inside");
    folder_.write("root/a/b/c", "deep");
    std::filesystem::create_symlink("/etc/passwd", folder_.at("root/absolute"));
    std::filesystem::create_symlink("../../../../../../../../etc/passwd", folder_.at("root/a/climbing"));
    std::filesystem::create_symlink("../outside.txt", folder_.at("root/escaping"));
    std::filesystem::create_symlink("b/../../a/./b//c", folder_.at("root/a/winding"));
    std::filesystem::create_symlink("loop", folder_.at("root/loop"));
    std::filesystem::create_directory_symlink("/a/b", folder_.at("root/folder"));
    std::filesystem::create_symlink("/nowhere", folder_.at("root/dangling"));
    root_ = ScopedFd(::open(folder_.at("root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(root_.is_open());
  }

  std::string read(std::string_view path) {
    Result<ScopedFd> found = GetParam()(root_.get(), path);
    if (!found) return "error: " + found.error().message;
    return content_of(reopen_regular(*found));
  }

  ScopedFolder folder_;
  ScopedFd root_;
};

TEST_P(InRoot, NoLinkLeadsOut) {
  EXPECT_EQ(read("/etc/passwd"), "inside");
  EXPECT_EQ(read("etc/passwd"), "inside");
  EXPECT_EQ(read("/../../../../etc/passwd"), "inside");
  EXPECT_EQ(read("/absolute"), "inside");
  EXPECT_EQ(read("/a/climbing"), "inside");
  EXPECT_EQ(read("/a/winding"), "deep");
  EXPECT_EQ(read("/folder/c"), "deep");
  EXPECT_EQ(read("//folder/..///b/./c"), "deep");
  EXPECT_TRUE(read("/escaping").starts_with("error")) << read("/escaping");
}

TEST_P(InRoot, WhatIsNotThereSaysSo) {
  for (const char* path : {"/nothing", "/dangling", "/etc/passwd/x", "/loop", "/a/b/c/..x", ""}) {
    Result<ScopedFd> found = GetParam()(root_.get(), path);
    if (found) {
      EXPECT_STREQ(path, "");
      EXPECT_FALSE(reopen_regular(*found));
      continue;
    }
    EXPECT_EQ(found.error().code, ErrorCode::unreadable) << path;
  }
  EXPECT_NE(read("/loop").find(std::strerror(ELOOP)), std::string::npos) << read("/loop");
}

TEST_P(InRoot, AFifoIsNeverOpened) {
  std::string fifo = folder_.at("root/fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  Result<ScopedFd> found = GetParam()(root_.get(), "/fifo");
  ASSERT_TRUE(found);
  EXPECT_FALSE(reopen_regular(*found));
  // Had it been opened for reading, a writer would find its reader.
  EXPECT_EQ(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_P(InRoot, AFolderIsNoFile) {
  Result<ScopedFd> found = GetParam()(root_.get(), "/etc");
  ASSERT_TRUE(found);
  EXPECT_FALSE(reopen_regular(*found));
}

INSTANTIATE_TEST_SUITE_P(Both, InRoot, testing::Values(&resolve_in_root, &walk_by_component),
                         [](const auto& each) { return each.index == 0 ? "Openat2" : "Walk"; });

// What is opened for the first mapping of `path` in `pid`.
Result<ScopedFd> open_mapped(pid_t pid, const std::string& path, Mapping* seen = nullptr) {
  Result<ProcDir> dir = ProcDir::open(pid);
  if (!dir) return std::move(dir).error();
  Result<std::vector<Mapping>> mappings = dir->read_mappings();
  if (!mappings) return std::move(mappings).error();
  auto found =
      std::find_if(mappings->begin(), mappings->end(), [&](const Mapping& m) { return m.path == path; });
  if (found == mappings->end()) return Error{ErrorCode::internal, path + " is not mapped", {}};
  if (seen) *seen = *found;
  return make_target_files(*dir)->open_mapping(*found);
}

std::uint64_t inode_of(const Result<ScopedFd>& file) {
  struct stat seen {};
  return file && ::fstat(file->get(), &seen) == 0 ? seen.st_ino : 0;
}

class MappedFile : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::copy_file(std::filesystem::canonical("/bin/sleep"), program_);
    struct stat seen {};
    ASSERT_EQ(::stat(program_.c_str(), &seen), 0);
    inode_ = seen.st_ino;
  }

  ScopedFolder folder_;
  std::string program_ = folder_.at("program");
  std::uint64_t inode_ = 0;
};

TEST_F(MappedFile, IsTheOneAtItsPath) {
  ScopedChild child = ScopedChild::run(program_, "1000");
  ASSERT_TRUE(child.is_ready());
  EXPECT_EQ(inode_of(open_mapped(child.pid(), program_)), inode_);
}

TEST_F(MappedFile, OfADeletedExecutableIsHad) {
  ScopedChild child = ScopedChild::run(program_, "1000");
  ASSERT_TRUE(child.is_ready());
  std::filesystem::remove(program_);
  Mapping mapping;
  EXPECT_EQ(inode_of(open_mapped(child.pid(), program_, &mapping)), inode_);
  EXPECT_TRUE(mapping.deleted);
}

TEST_F(MappedFile, OfAReplacedExecutableIsNotTheNewOne) {
  ScopedChild child = ScopedChild::run(program_, "1000");
  ASSERT_TRUE(child.is_ready());
  std::filesystem::rename(folder_.write("new", "another"), program_);
  EXPECT_EQ(inode_of(open_mapped(child.pid(), program_)), inode_);
}

TEST_F(MappedFile, OfADeletedLibraryIsHadWithTheCapability) {
  if (!is_root()) GTEST_SKIP() << "map_files needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE";
  ScopedChild child([&] {
    int file = ::open(program_.c_str(), O_RDONLY | O_CLOEXEC);
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED &&
           ::close(file) == 0;
  });
  ASSERT_TRUE(child.is_ready());
  std::filesystem::rename(folder_.write("new", "another"), program_);
  EXPECT_EQ(inode_of(open_mapped(child.pid(), program_)), inode_);
}

TEST_F(MappedFile, MayReallyBeNamedDeleted) {
  std::string name = folder_.at("lib (deleted)");
  std::filesystem::rename(program_, name);
  ScopedChild child = ScopedChild::run(name, "1000");
  ASSERT_TRUE(child.is_ready());
  EXPECT_EQ(inode_of(open_mapped(child.pid(), folder_.at("lib"))), inode_);
}

TEST_F(MappedFile, AnonymousMemoryHasNone) {
  Result<ScopedFd> file = open_mapped(::getpid(), "[stack]");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::unreadable);
}

TEST_F(MappedFile, InAChrootIsFoundByItsPathInside) {
  if (!is_root()) GTEST_SKIP() << "chroot needs CAP_SYS_CHROOT";
  std::string root = folder_.at("jail");
  folder_.write("jail/lib/library", std::string(4096, 'l'));
  folder_.write("jail/etc/passwd", "inside");
  std::filesystem::create_symlink("../../../../../../etc/passwd", root + "/leaving");
  ScopedChild child([&] {
    if (::chroot(root.c_str()) != 0 || ::chdir("/") != 0) return false;
    int file = ::open("/lib/library", O_RDONLY | O_CLOEXEC);
    return ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED;
  });
  ASSERT_TRUE(child.is_ready());
  EXPECT_EQ(content_of(open_mapped(child.pid(), "/lib/library")), std::string(4096, 'l'));
  // Mapped before the chroot: no path of the jail leads there.
  std::string own = std::filesystem::read_symlink("/proc/self/exe");
  struct stat seen {};
  ASSERT_EQ(::stat(own.c_str(), &seen), 0);
  EXPECT_EQ(inode_of(open_mapped(child.pid(), own)), seen.st_ino);

  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  std::unique_ptr<TargetFiles> files = make_target_files(*dir);
  EXPECT_EQ(content_of(files->open_path("/leaving")), "inside");
  EXPECT_EQ(content_of(files->open_path("/../etc/passwd")), "inside");
}

TEST(DebugFile, IsLookedForByItsBuildIdInTheTargetsRootFirst) {
  if (!is_root()) GTEST_SKIP() << "chroot needs CAP_SYS_CHROOT";
  ScopedFolder folder;
  folder.write("usr/lib/debug/.build-id/ab/cdef01.debug", "debug");
  ScopedChild child([&] { return ::chroot(folder.path().c_str()) == 0; });
  ASSERT_TRUE(child.is_ready());
  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  std::unique_ptr<TargetFiles> files = make_target_files(*dir);
  EXPECT_EQ(content_of(files->open_debug_file("abcdef01")), "debug");
  for (const char* id : {"", "ab", "abcdef02", "../../../etc", "ab/../../x", "ABCDEF01"}) {
    EXPECT_FALSE(files->open_debug_file(id)) << id;
  }
}

TEST(LiveFiles, OutliveTheFolder) {
  std::unique_ptr<TargetFiles> files;
  {
    Result<ProcDir> dir = ProcDir::open(::getpid());
    ASSERT_TRUE(dir);
    files = make_target_files(*dir);
  }
  EXPECT_TRUE(files->open_path("/proc/version"));
  EXPECT_FALSE(files->open_path("/dev/null"));
  EXPECT_FALSE(files->open_path("/proc/self/exe"));  // a magic link is not followed
  EXPECT_FALSE(files->open_path(std::string("/etc\0/passwd", 12)));
  EXPECT_FALSE(files->open_path(std::string(5000, 'x')));
}

}  // namespace
}  // namespace pythreads::attach
