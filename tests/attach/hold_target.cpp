// A process to be held, in one of several situations (`main` lists them). It goes on until it is killed.
#include "tests/attach/hold_target.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

namespace {

using pythreads::tests::Shared;

Shared shared;
std::binary_semaphore never{0};

void ready() {
  std::printf("%llx\n", static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(&shared)));
  std::fflush(stdout);
}

[[noreturn]] void sleep_for_ever() {
  for (;;) ::pause();
}

void count(int index) {
  for (;;) {
    ++shared.counters[index];
    ::usleep(500);
  }
}

void spin(int index) {
  for (;;) ++shared.counters[index];
}

void start_counters(int number) {
  for (int i = 0; i < number; ++i) std::thread(count, i).detach();
}

// Some threads in each of: a sleep, a loop, a futex.
void threads(int number) {
  for (int i = 0; i < number; ++i) {
    if (i == 0) {
      std::thread(spin, i).detach();
    } else if (i % 2 == 0) {
      std::thread(count, i).detach();
    } else {
      std::thread([] { never.acquire(); }).detach();
    }
  }
  ::usleep(50'000);
  ready();
  sleep_for_ever();
}

// Threads come and go all the time.
void churn() {
  for (int i = 0; i < 4; ++i) {
    std::thread([i] {
      for (;;) {
        std::thread([i] { ++shared.counters[i]; }).join();
      }
    }).detach();
  }
  ready();
  sleep_for_ever();
}

// One thread is a vfork parent: it sleeps uninterruptibly until its child ends.
void vfork_parent() {
  start_counters(3);
  std::thread([] {
    const pid_t child = ::vfork();
    if (child == 0) {
      ::syscall(SYS_read, 0, &never, 1);  // until the test closes our input
      ::_exit(0);
    }
    spin(3);
  }).detach();
  ::usleep(100'000);
  ready();
  sleep_for_ever();
}

// A page that is brought 600 ms after somebody asks for it.
void userfault() {
  start_counters(3);
  const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
  uffdio_api api{};
  api.api = UFFD_API;
  char* page =
      static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  uffdio_register range{};
  range.range = {reinterpret_cast<std::uintptr_t>(page), 4096};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  if (fd < 0 || ::ioctl(fd, UFFDIO_API, &api) != 0 || ::ioctl(fd, UFFDIO_REGISTER, &range) != 0) {
    std::printf("no userfaultfd: %s\n", std::strerror(errno));
    std::fflush(stdout);
    sleep_for_ever();
  }
  shared.page = reinterpret_cast<std::uintptr_t>(page);
  std::thread([fd] {
    uffd_msg message{};
    while (::read(fd, &message, sizeof message) != sizeof message) {
    }
    ::usleep(600'000);
    static char bytes[4096] = "brought";
    uffdio_copy copy{};
    copy.dst = message.arg.pagefault.address & ~4095ull;
    copy.src = reinterpret_cast<std::uintptr_t>(bytes);
    copy.len = 4096;
    ::ioctl(fd, UFFDIO_COPY, &copy);
    count(4);
  }).detach();
  ready();
  sleep_for_ever();
}

void on_signal(int) {
  ++shared.signals;
}

// Counts each signal of the queue; several threads may take them.
void signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigaction(SIGRTMIN, &action, nullptr);
  start_counters(4);
  std::thread(spin, 4).detach();
  ready();
  sleep_for_ever();
}

// The leader ends, the others go on: it stays as a zombie.
void leader_ends() {
  start_counters(3);
  ready();
  ::pthread_exit(nullptr);
}

// Starts itself anew, again and again, from a thread that is not the leader.
void execs(const char* self) {
  for (int i = 0; i < 8; ++i) {
    std::thread([] {
      for (;;) ::pause();
    }).detach();
  }
  if (std::getenv("HOLD_TARGET_SAID") == nullptr) {
    ready();
    ::setenv("HOLD_TARGET_SAID", "1", 1);
  }
  std::thread([self] {
    ::usleep(2000);
    ::execl(self, self, "execs", nullptr);
    ::_exit(3);
  }).detach();
  sleep_for_ever();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "threads") threads(argc > 2 ? std::atoi(argv[2]) : 8);
  if (mode == "churn") churn();
  if (mode == "vfork") vfork_parent();
  if (mode == "userfault") userfault();
  if (mode == "signals") signals();
  if (mode == "leader_ends") leader_ends();
  if (mode == "execs") execs(argv[0]);
  std::fprintf(
      stderr, "usage: hold_target threads [N] | churn | vfork | userfault | signals | leader_ends | execs\n");
  return 2;
}
