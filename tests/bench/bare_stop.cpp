// The least that a look at every thread's stack can cost: seize, interrupt, wait, read the registers and 16
// KiB of each stack, detach. `bare_stop PID` prints the milliseconds from the first PTRACE_INTERRUPT to the
// last PTRACE_DETACH, and the number of threads. What pythreads adds to that is the price of its answers.
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t stack_bytes = 16 * 1024;

std::vector<pid_t> threads_of(const char* pid) {
  std::vector<pid_t> tids;
  DIR* directory = opendir(("/proc/" + std::string(pid) + "/task").c_str());
  if (directory == nullptr) return tids;
  while (const dirent* entry = readdir(directory)) {
    const int tid = std::atoi(entry->d_name);
    if (tid > 0) tids.push_back(tid);
  }
  closedir(directory);
  return tids;
}

bool read_stack(pid_t tid, std::vector<char>& stack) {
  user_regs_struct registers{};
  iovec into{&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, tid, 1 /* NT_PRSTATUS */, &into) != 0) return false;
  iovec local{stack.data(), stack.size()};
  // NOLINTNEXTLINE: an address of the target
  iovec remote{reinterpret_cast<void*>(registers.rsp), stack.size()};
  return process_vm_readv(tid, &local, 1, &remote, 1, 0) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bare_stop PID\n", stderr);
    return 64;
  }
  const std::vector<pid_t> tids = threads_of(argv[1]);
  for (const pid_t tid : tids) {
    if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
      std::perror("bare_stop: PTRACE_SEIZE");
      return 77;
    }
  }
  std::vector<char> stack(stack_bytes, '\1');  // one for all, its pages present
  const Clock::time_point began = Clock::now();
  for (const pid_t tid : tids) ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  for (const pid_t tid : tids) {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(tid), &info, WSTOPPED | WNOWAIT | __WALL);
  }
  std::size_t read = 0;
  for (const pid_t tid : tids) read += read_stack(tid, stack) ? 1 : 0;
  for (const pid_t tid : tids) ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
  const std::chrono::duration<double, std::milli> held = Clock::now() - began;
  std::printf("%.3f %zu\n", held.count(), read);
  return read == tids.size() && !tids.empty() ? 0 : 1;
}
