// The least that a look at every thread's stack can cost: seize all, interrupt all, wait for each by its tid,
// read the registers and 16 KiB of each stack, detach. `bare_stop PID` prints the milliseconds from the first
// PTRACE_INTERRUPT to the last PTRACE_DETACH, the number of threads, the bytes read, and those that all
// stacks have in use. What pythreads adds to that is the price of its answers; so this file stays as it is.
//
// Everything that can be done before the stop is: the buffer's pages are present, the mappings are read, so
// that each stack is asked for only as far as its mapping reaches (process_vm_readv ends at the first range
// that it cannot read). The stacks are read in batches, into one buffer that each batch uses again.
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t stack_bytes = 16 * 1024;
constexpr std::size_t batch = 64;  // stacks: a MiB, which stays in the processor's cache

struct Range {
  std::uintptr_t begin, end;
};

std::vector<pid_t> threads_of(const std::string& pid) {
  std::vector<pid_t> tids;
  DIR* directory = opendir(("/proc/" + pid + "/task").c_str());
  if (directory == nullptr) return tids;
  while (const dirent* entry = readdir(directory)) {
    const int tid = std::atoi(entry->d_name);
    if (tid > 0) tids.push_back(tid);
  }
  closedir(directory);
  return tids;
}

// In the order of their addresses, as the kernel lists them.
std::vector<Range> mappings_of(const std::string& pid) {
  std::vector<Range> mappings;
  std::FILE* file = std::fopen(("/proc/" + pid + "/maps").c_str(), "r");
  if (file == nullptr) return mappings;
  char line[8192];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    char* next = nullptr;
    const std::uintptr_t begin = std::strtoull(line, &next, 16);
    if (*next == '-') mappings.push_back({begin, std::strtoull(next + 1, nullptr, 16)});
  }
  std::fclose(file);
  return mappings;
}

// How much of the stack at `sp` is in use. A thread's control block ends it: from glibc 2.42 on the next
// thread's guard pages, which nobody can read, may follow in the same mapping.
std::size_t stack_in_use(std::uintptr_t sp, std::uintptr_t control_block,
                         const std::vector<Range>& mappings) {
  const auto found = std::upper_bound(mappings.begin(), mappings.end(), sp,
                                      [](std::uintptr_t at, const Range& range) { return at < range.end; });
  if (found == mappings.end() || sp < found->begin) return 0;
  const bool ends_it = control_block > sp && control_block < found->end;
  return (ends_it ? control_block : found->end) - sp;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bare_stop PID\n", stderr);
    return 64;
  }
  const std::string name = argv[1];
  const pid_t pid = std::atoi(argv[1]);
  const std::vector<pid_t> tids = threads_of(name);
  const std::vector<Range> mappings = mappings_of(name);
  std::vector<char> buffer(batch * stack_bytes, '\1');
  std::vector<iovec> stacks(tids.size(), iovec{buffer.data(), 1});
  for (const pid_t tid : tids) {
    if (ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) != 0) {
      std::perror("bare_stop: PTRACE_SEIZE");
      return 77;
    }
  }

  const Clock::time_point began = Clock::now();
  for (const pid_t tid : tids) ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  for (const pid_t tid : tids) {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(tid), &info, WSTOPPED | WNOWAIT | __WALL);
  }
  std::size_t threads = 0;
  std::size_t bytes = 0;
  std::size_t in_use = 0;
  for (std::size_t i = 0; i < tids.size(); ++i) {
    user_regs_struct registers{};
    iovec into{&registers, sizeof registers};
    const bool got = ptrace(PTRACE_GETREGSET, tids[i], 1 /* NT_PRSTATUS */, &into) == 0;
    threads += got ? 1 : 0;
    // NOLINTNEXTLINE: an address of the target
    void* const sp = reinterpret_cast<void*>(registers.rsp);
    const std::size_t used = got ? stack_in_use(registers.rsp, registers.fs_base, mappings) : 0;
    in_use += used;
    stacks[i] = iovec{sp, std::min(used, stack_bytes)};
  }
  for (std::size_t i = 0; i < tids.size(); i += batch) {
    const std::size_t count = std::min(batch, tids.size() - i);
    const iovec local{buffer.data(), buffer.size()};
    const ssize_t got = process_vm_readv(pid, &local, 1, &stacks[i], count, 0);
    bytes += got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  for (const pid_t tid : tids) ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
  const std::chrono::duration<double, std::milli> held = Clock::now() - began;

  std::size_t wanted = 0;
  for (const iovec& stack : stacks) wanted += stack.iov_len;
  std::printf("%.3f %zu %zu %zu\n", held.count(), threads, bytes, in_use);
  return threads == tids.size() && bytes == wanted && threads > 0 ? 0 : 1;
}
