#include "attach/fork_origin.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/proc_dir.h"

namespace pythreads::attach {
namespace {

std::vector<Mapping> places(std::uint64_t stack, std::uint64_t stack_size, std::uint64_t vdso) {
  Mapping first, second;
  first.range = {Address(stack), stack_size};
  first.path = "[stack]";
  second.range = {Address(vdso), 0x2000};
  second.path = "[vdso]";
  return {first, second};
}

TEST(ForkOrigin, IsTheSameStackEndAndVdso) {
  const std::vector<Mapping> parent = places(0x7ffd0000, 0x21000, 0x7fff1000);
  EXPECT_TRUE(have_same_origin(places(0x7ffc0000, 0x31000, 0x7fff1000), parent));
  EXPECT_FALSE(have_same_origin(places(0x7ffd0000, 0x22000, 0x7fff1000), parent));
  EXPECT_FALSE(have_same_origin(places(0x7ffd0000, 0x21000, 0x7fff3000), parent));
  EXPECT_FALSE(have_same_origin({}, {}));
}

// The real thing: a child that forked, and one that executed a program.
class Child {
 public:
  explicit Child(const char* program) {
    int gate[2];
    EXPECT_EQ(::pipe(gate), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (program != nullptr) {
        ::close(gate[1]);
        ::execl(program, program, "60", static_cast<char*>(nullptr));
        ::_exit(1);
      }
      static_cast<void>(::write(gate[1], "x", 1));
      for (;;) ::pause();
    }
    ::close(gate[1]);
    // The exec closes nothing of the gate; give it the time to be a program of its own.
    char byte = 0;
    if (program == nullptr) {
      EXPECT_EQ(::read(gate[0], &byte, 1), 1);
    }
    ::close(gate[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

std::optional<pid_t> origin_of(pid_t pid) {
  const Result<ProcDir> dir = ProcDir::open(pid);
  if (!dir) return std::nullopt;
  const Result<std::vector<Mapping>> mappings = dir->read_mappings();
  return mappings ? find_fork_parent(*dir, ::getpid(), *mappings) : std::nullopt;
}

TEST(ForkOrigin, OfAForkedChildIsItsParent) {
  const Child child(nullptr);
  EXPECT_EQ(origin_of(child.pid()), ::getpid());
}

TEST(ForkOrigin, OfAnExecutedProgramIsNone) {
  const Child child("/bin/sleep");
  for (int i = 0; i < 1000; ++i) {
    const Result<ProcDir> dir = ProcDir::open(child.pid());
    const Result<std::string> exe = dir ? dir->read_link("exe") : Result<std::string>(dir.error());
    if (exe && exe->find("sleep") != std::string::npos) break;
    ::usleep(10'000);
  }
  EXPECT_EQ(origin_of(child.pid()), std::nullopt);
}

}  // namespace
}  // namespace pythreads::attach
