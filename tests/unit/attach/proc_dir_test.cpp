#include "attach/proc_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/scoped_child.h"
#include "tests/support/scoped_folder.h"

namespace pythreads::attach {
namespace {

using tests::ScopedChild;
using tests::ScopedFolder;

TEST(ProcDir, SaysThatThereIsNoSuchProcess) {
  for (pid_t pid : {0, -1, 0x7fffffff}) {
    Result<ProcDir> dir = ProcDir::open(pid);
    ASSERT_FALSE(dir);
    EXPECT_EQ(dir.error().code, ErrorCode::no_such_process) << dir.error().message;
  }
}

TEST(ProcDir, AThreadIsNoProcess) {
  std::atomic<pid_t> tid = 0;
  std::atomic<bool> done = false;
  std::thread thread([&] {
    tid = static_cast<pid_t>(::syscall(SYS_gettid));
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (tid == 0) std::this_thread::yield();
  Result<ProcDir> dir = ProcDir::open(tid);
  done = true;
  thread.join();
  ASSERT_FALSE(dir);
  EXPECT_EQ(dir.error().hint, "give the pid " + std::to_string(::getpid()));
}

TEST(ProcDir, TellsAboutOurselves) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<Process> process = dir->read_process();
  ASSERT_TRUE(process);
  EXPECT_EQ(process->pid, ::getpid());
  EXPECT_EQ(process->parent_pid, ::getppid());
  EXPECT_EQ(process->uid, ::geteuid());
  EXPECT_EQ(process->executable, std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_FALSE(process->executable_deleted);
  EXPECT_EQ(process->working_directory, std::filesystem::current_path());
  EXPECT_FALSE(process->command.empty());
  EXPECT_TRUE(process->unread.empty());
  ASSERT_FALSE(process->namespace_pids.empty());
  EXPECT_EQ(process->namespace_pids.front(), ::getpid());
  ASSERT_TRUE(process->started_at);
  auto age = std::chrono::system_clock::now() - *process->started_at;
  EXPECT_GE(age, std::chrono::seconds(-1));
  EXPECT_LT(age, std::chrono::hours(1));
}

TEST(ProcDir, MapsHoldOurCode) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<std::vector<Mapping>> mappings = dir->read_mappings();
  ASSERT_TRUE(mappings);
  Address code(reinterpret_cast<std::uint64_t>(&::pythreads::attach::error_code_name));
  auto found = std::find_if(mappings->begin(), mappings->end(),
                            [&](const Mapping& m) { return m.range.contains(code); });
  ASSERT_NE(found, mappings->end());
  EXPECT_TRUE(found->executable);
  EXPECT_EQ(found->path, std::filesystem::read_symlink("/proc/self/exe"));
  EXPECT_TRUE(std::is_sorted(mappings->begin(), mappings->end(), [](const Mapping& a, const Mapping& b) {
    return a.range.begin < b.range.begin;
  }));
}

TEST(ProcDir, AMappedFileMayHaveAnyName) {
  ScopedFolder folder;
  std::string path = folder.write("a b\n(deleted) \\040 (deleted)", std::string(4096, 'x'));
  ScopedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  void* at = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
  ASSERT_NE(at, MAP_FAILED);
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<std::vector<Mapping>> mappings = dir->read_mappings();
  ::munmap(at, 4096);
  ASSERT_TRUE(mappings);
  Address begin(reinterpret_cast<std::uint64_t>(at));
  auto found = std::find_if(mappings->begin(), mappings->end(),
                            [&](const Mapping& m) { return m.range.begin == begin; });
  ASSERT_NE(found, mappings->end());
  EXPECT_EQ(found->path + " (deleted)", path);  // nobody can tell it from a deleted one by the text
}

TEST(ProcDir, TheLeaderIsListedFirst) {
  ScopedChild child([] {
    std::thread([] {
      for (;;) ::pause();
    }).detach();
    return true;
  });
  ASSERT_TRUE(child.is_ready());
  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  Result<std::vector<pid_t>> threads = dir->list_threads();
  ASSERT_TRUE(threads);
  ASSERT_GE(threads->size(), 2u);  // ThreadSanitizer has one of its own
  EXPECT_EQ(threads->front(), child.pid());
  EXPECT_TRUE(std::is_sorted(std::next(threads->begin()), threads->end()));
  EXPECT_EQ(std::count(threads->begin(), threads->end(), child.pid()), 1);
}

// The state of a thread that we made sleep, once it does.
ThreadState sleeping_thread(const ProcDir& dir, pid_t tid) {
  ThreadState state;
  for (int tried = 0; tried < 1000; ++tried) {
    Result<ThreadState> thread = dir.read_thread(tid);
    if (thread) state = *thread;
    if (state.state == 'S' && state.kernel_wait) break;
    ::usleep(1000);
  }
  return state;
}

#ifdef SYS_pause
constexpr long pause_number = SYS_pause;
#else
constexpr long pause_number = SYS_ppoll;  // what pause(3) is where there is no call of that name
#endif

TEST(ProcDir, AThreadInASystemCallNamesIt) {
  ScopedChild child([] { return ::prctl(PR_SET_NAME, ") R 1 \\n\n(") == 0; });
  ASSERT_TRUE(child.is_ready());
  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  ThreadState state = sleeping_thread(*dir, child.pid());
  EXPECT_EQ(state.state, 'S');
  EXPECT_EQ(state.os_name, ") R 1 \\n\n(");
  ASSERT_TRUE(state.kernel_wait);
  EXPECT_EQ(state.kernel_wait->number, pause_number);
  EXPECT_FALSE(state.kernel_wait->restarted);
  EXPECT_FALSE(state.switches);
  dir->read_status(state);
  EXPECT_TRUE(state.switches);
  EXPECT_EQ(state.seccomp, 0);
  EXPECT_TRUE(state.cpu_ms);
  EXPECT_EQ(state.namespace_tid, child.pid());
  EXPECT_EQ(state.gap, "");
}

TEST(ProcDir, ARunningThreadIsInNoSystemCall) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<ThreadState> state = dir->read_thread(::getpid());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->state, 'R');
  EXPECT_EQ(state->wait_channel, "");
}

TEST(ProcDir, AThreadThatEndedIsSaidToHave) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<ThreadState> state = dir->read_thread(0x7ffffffe);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ErrorCode::process_ended);
}

TEST(ProcDir, AProcessThatEndedAfterTheOpenIsNeverAnother) {
  ScopedChild child([] { return true; });
  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  pid_t pid = child.pid();
  child.end();
  EXPECT_EQ(dir->read_mappings().error().code, ErrorCode::process_ended);
  EXPECT_EQ(dir->list_threads().error().code, ErrorCode::process_ended);
  EXPECT_EQ(dir->read_process().error().code, ErrorCode::process_ended);
  EXPECT_EQ(dir->read_thread(pid).error().code, ErrorCode::process_ended);
  EXPECT_EQ(dir->read_file("no such file", 10).error().code, ErrorCode::process_ended);
  EXPECT_EQ(ProcDir::open(pid).error().code, ErrorCode::no_such_process);
}

TEST(ProcDir, AZombieStillHasItsFacts) {
  ScopedChild child([] { return true; });
  child.kill_only();
  Result<ProcDir> dir = ProcDir::open(child.pid());
  ASSERT_TRUE(dir);
  Result<Process> process = dir->read_process();
  ASSERT_TRUE(process);
  EXPECT_EQ(process->state, 'Z');
  EXPECT_EQ(process->parent_pid, ::getpid());
  EXPECT_NE(std::find(process->unread.begin(), process->unread.end(), "executable"), process->unread.end());
  EXPECT_EQ(dir->memory_folder(), "");
}

TEST(ProcDir, WhereTheLeaderEndedTheOthersMemoryIsRead) {
  ScopedChild leaderless([] {
    static std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) return false;
    pid_t grandchild = ::fork();
    if (grandchild == 0) {
      std::thread([] {
        char byte = 'p';
        ::usleep(20000);
        if (::write(ends[1], &byte, 1) != 1) ::_exit(1);
        for (;;) ::pause();
      }).detach();
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::syscall(SYS_exit, 0);  // this thread alone
    }
    char byte = 0;
    return ::read(ends[0], &byte, 1) == 1 && ::prctl(PR_SET_NAME, std::to_string(grandchild).c_str()) == 0;
  });
  ASSERT_TRUE(leaderless.is_ready());
  Result<ProcDir> parent = ProcDir::open(leaderless.pid());
  ASSERT_TRUE(parent);
  pid_t pid = std::stoi(parent->read_thread(leaderless.pid())->os_name);
  Result<ProcDir> dir = ProcDir::open(pid);
  ASSERT_TRUE(dir) << dir.error().message;
  EXPECT_TRUE(dir->memory_folder().starts_with("task/")) << dir->memory_folder();
  Result<std::vector<Mapping>> mappings = dir->read_mappings();
  ASSERT_TRUE(mappings);
  EXPECT_FALSE(mappings->empty());
  EXPECT_NE(dir->read_process()->executable, "");
  ::kill(pid, SIGKILL);
}

TEST(ProcDir, AFileLargerThanTheLimitIsAnError) {
  Result<ProcDir> dir = ProcDir::open(::getpid());
  ASSERT_TRUE(dir);
  Result<std::string> status = dir->read_file("status", 100);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::unreadable);
  EXPECT_TRUE(dir->read_file("status", 1 << 16));
}

TEST(ProcDir, ARecordedFolderIsReadAlike) {
  ScopedFolder folder;
  folder.write("stat", "77 (py) T 1 77 77 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 5 0 0\n");
  folder.write("status", "Name:\tpy\nState:\tT (stopped)\nTgid:\t77\nUid:\t5\t6\t7\t8\nNSpid:\t77\t3\n");
  folder.write("cmdline", std::string("py\0-x\0", 6));
  folder.write("maps", "1000-2000 r-xp 00000000 fe:01 9 /bin/py\n");
  folder.write("task/77/stat", "77 (py) T 1 77 77 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 5 0 0\n");
  folder.write("task/77/status",
               "NSpid:\t77\t3\nvoluntary_ctxt_switches:\t4\nnonvoluntary_ctxt_switches:\t5\n");
  folder.write("task/77/syscall", "219 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n");
  folder.write("task/77/wchan", "do_nothing");
  Result<ProcDir> dir = ProcDir::open_folder(folder.path());
  ASSERT_TRUE(dir) << dir.error().message;
  EXPECT_EQ(dir->pid(), 77);
  Result<Process> process = dir->read_process();
  ASSERT_TRUE(process);
  EXPECT_EQ(process->state, 'T');
  EXPECT_EQ(process->uid, 6u);
  EXPECT_EQ(process->command, (std::vector<std::string>{"py", "-x"}));
  EXPECT_EQ(process->unread, (std::vector<std::string>{"executable", "working_directory", "cgroup"}));
  Result<ThreadState> thread = dir->read_thread(77);
  ASSERT_TRUE(thread);
  EXPECT_EQ(thread->namespace_tid, 3);
  EXPECT_EQ(thread->switches, 9u) << "in a pid namespace of its own it is read in any case";
  EXPECT_EQ(thread->wait_channel, "do_nothing");
  ASSERT_TRUE(thread->kernel_wait);
  EXPECT_TRUE(thread->kernel_wait->restarted);
  EXPECT_EQ(dir->list_threads().value_or({}), std::vector<pid_t>{77});

  // A call that says itself what it is.
  folder.write("task/77/syscall", "202 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n");
  thread = dir->read_thread(77);
  ASSERT_TRUE(thread);
  EXPECT_EQ(thread->wait_channel, "");
  EXPECT_EQ(thread->sleeping_sp, Address(7));

  folder.write("maps", "1000-2000 r-xp 00000000 fe:01 9 /bin/py\nnonsense\n");
  EXPECT_EQ(dir->read_mappings().error().code, ErrorCode::corrupt);
  folder.write("task/77/stat", "77 (py");
  EXPECT_EQ(dir->read_thread(77).error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace pythreads::attach
