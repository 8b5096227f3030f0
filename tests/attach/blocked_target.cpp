// One thread in each blocking system call, for a stop to be tried on. Each thread does its call again and
// again; when it returns other than by being woken from outside, which nobody does, it notes what it got.
// With the argument `list` the names are printed; with a name only that call is made.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t large = 8 * 1024 * 1024;
std::vector<char> bytes(large, 'x');

[[noreturn]] void cannot(const char* what) {
  std::printf("cannot %s: %s\n", what, std::strerror(errno));
  std::fflush(stdout);
  ::_exit(0);
}

struct Pair {
  int fds[2] = {-1, -1};
};

Pair make_pipe() {
  Pair pair;
  if (::pipe(pair.fds) != 0) cannot("make a pipe");
  return pair;
}

Pair make_sockets(int type = SOCK_STREAM) {
  Pair pair;
  if (::socketpair(AF_UNIX, type, 0, pair.fds) != 0) cannot("make sockets");
  return pair;
}

int make_listener() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 0) != 0) {
    cannot("listen");
  }
  return fd;
}

void set_timeout(int fd, int option) {
  timeval long_time{1000, 0};
  if (::setsockopt(fd, SOL_SOCKET, option, &long_time, sizeof long_time) != 0) cannot("set a timeout");
}

// A unix listener whose queue is full, and a socket that would connect to it.
struct FullListener {
  sockaddr_un address{};
  socklen_t size = 0;
  FullListener() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "blocked-target-%d", ::getpid());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + std::strlen(address.sun_path + 1));
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 0) != 0)
      cannot("listen");
    for (int i = 0; i < 64; ++i) {
      const int other = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
      if (::connect(other, reinterpret_cast<sockaddr*>(&address), size) != 0) return;
    }
  }
};

// A child that sleeps, and ends with us.
pid_t sleeping_child() {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) ::pause();
}

// System V objects outlive us: a child of ours removes them when our end of a pipe is gone.
void remove_at_the_end(std::function<void()> remove) {
  const Pair pair = make_pipe();
  if (::fork() != 0) return;  // the write end stays with us
  ::close(pair.fds[1]);
  ::close(0);
  ::close(1);
  char byte = 0;
  while (::read(pair.fds[0], &byte, 1) > 0) {
  }
  remove();
  ::_exit(0);
}

int semaphore_set() {
  const int id = ::semget(IPC_PRIVATE, 1, 0600);
  if (id < 0) cannot("make a semaphore");
  remove_at_the_end([id] { ::semctl(id, 0, IPC_RMID); });
  return id;
}

int message_queue() {
  const int id = ::msgget(IPC_PRIVATE, 0600);
  if (id < 0) cannot("make a message queue");
  remove_at_the_end([id] { ::msgctl(id, IPC_RMID, nullptr); });
  return id;
}

struct Call {
  const char* name;
  std::function<long()> make;  // returns as the system call does
};

std::vector<Call> calls() {
  static const timespec long_time{1000, 0};
  std::vector<Call> list;
  const auto add = [&list](const char* name, std::function<long()> make) {
    list.push_back({name, std::move(make)});
  };

  add("futex", [] {
    static int word = 0;
    return ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  });
  add("futex_timed", [] {
    static int word = 0;
    return ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &long_time, nullptr, 0);
  });
  add("nanosleep", [] { return ::syscall(SYS_nanosleep, &long_time, nullptr); });
  add("clock_nanosleep", [] {
    errno = ::clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, nullptr);
    return errno == 0 ? 0L : -1L;
  });
  add("clock_nanosleep_absolute", [] {
    timespec until{};
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1000;
    return ::syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  });
  add("pause", [] { return ::syscall(SYS_pause); });
  add("rt_sigsuspend", [] {
    unsigned long mask = 0;
    return ::syscall(SYS_rt_sigsuspend, &mask, 8);
  });
  add("rt_sigtimedwait", [] {
    unsigned long set = 1ul << (SIGRTMAX - 1);
    return ::syscall(SYS_rt_sigtimedwait, &set, nullptr, &long_time, 8);
  });
  add("poll", [] { return ::syscall(SYS_poll, nullptr, 0, -1); });
  add("poll_timed", [] { return ::syscall(SYS_poll, nullptr, 0, 1'000'000); });
  add("ppoll", [] {
    timespec time = long_time;
    return ::syscall(SYS_ppoll, nullptr, 0, &time, nullptr, 8);
  });
  add("select", [] {
    timeval time{1000, 0};
    return ::syscall(SYS_select, 0, nullptr, nullptr, nullptr, &time);
  });
  add("pselect6", [] {
    timespec time = long_time;
    return ::syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &time, nullptr);
  });
  add("epoll_wait", [fd = ::epoll_create1(0)] {
    epoll_event event{};
    return ::syscall(SYS_epoll_wait, fd, &event, 1, -1);
  });
  add("epoll_pwait", [fd = ::epoll_create1(0)] {
    epoll_event event{};
    return ::syscall(SYS_epoll_pwait, fd, &event, 1, -1, nullptr, 8);
  });
  add("epoll_pwait2", [fd = ::epoll_create1(0)] {
    epoll_event event{};
    return ::syscall(441, fd, &event, 1, &long_time, nullptr, 8);
  });
  add("read_pipe", [pair = make_pipe()] {
    char byte = 0;
    return ::syscall(SYS_read, pair.fds[0], &byte, 1);
  });
  add("read_eventfd", [fd = ::eventfd(0, 0)] {
    std::uint64_t value = 0;
    return ::syscall(SYS_read, fd, &value, 8);
  });
  add("read_timerfd", [fd = ::timerfd_create(CLOCK_MONOTONIC, 0)] {
    std::uint64_t value = 0;
    return ::syscall(SYS_read, fd, &value, 8);
  });
  add("read_inotify", [fd = ::inotify_init1(0)] {
    char event[512];
    return ::syscall(SYS_read, fd, event, sizeof event);
  });
  add("read_signalfd", [] {
    static int fd = [] {
      sigset_t set;
      ::sigemptyset(&set);
      ::sigaddset(&set, SIGRTMAX - 1);
      return ::signalfd(-1, &set, 0);
    }();
    signalfd_siginfo info{};
    return ::syscall(SYS_read, fd, &info, sizeof info);
  });
  add("write_pipe", [pair = make_pipe()] { return ::syscall(SYS_write, pair.fds[1], bytes.data(), large); });
  add("writev_pipe", [pair = make_pipe()] {
    iovec parts[2] = {{bytes.data(), large / 2}, {bytes.data(), large / 2}};
    return ::syscall(SYS_writev, pair.fds[1], parts, 2);
  });
  add("write_pipe_full", [pair = make_pipe()] {
    ::fcntl(pair.fds[1], F_SETFL, O_NONBLOCK);
    while (::write(pair.fds[1], bytes.data(), 4096) > 0) {
    }
    ::fcntl(pair.fds[1], F_SETFL, 0);
    return ::syscall(SYS_write, pair.fds[1], bytes.data(), large);
  });
  add("write_socket",
      [pair = make_sockets()] { return ::syscall(SYS_write, pair.fds[1], bytes.data(), large); });
  add("sendto", [pair = make_sockets()] {
    return ::syscall(SYS_sendto, pair.fds[1], bytes.data(), large, 0, nullptr, 0);
  });
  add("sendmsg", [pair = make_sockets()] {
    iovec parts[2] = {{bytes.data(), large / 2}, {bytes.data(), large / 2}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return ::syscall(SYS_sendmsg, pair.fds[1], &message, 0);
  });
  add("sendfile", [pair = make_sockets()] {
    const int file = ::memfd_create("sendfile", MFD_CLOEXEC);
    if (::ftruncate(file, static_cast<off_t>(large)) != 0) cannot("make a file");
    off_t offset = 0;
    return ::syscall(SYS_sendfile, pair.fds[1], file, &offset, large);
  });
  add("splice", [pair = make_pipe(), full = make_pipe()] {
    return ::syscall(SYS_splice, pair.fds[0], nullptr, full.fds[1], nullptr, 4096, 0);
  });
  add("recvfrom", [pair = make_sockets()] {
    char byte = 0;
    return ::syscall(SYS_recvfrom, pair.fds[0], &byte, 1, 0, nullptr, nullptr);
  });
  add("recvfrom_timeout", [pair = make_sockets()] {
    set_timeout(pair.fds[0], SO_RCVTIMEO);
    char byte = 0;
    return ::syscall(SYS_recvfrom, pair.fds[0], &byte, 1, 0, nullptr, nullptr);
  });
  add("read_timeout", [pair = make_sockets()] {
    set_timeout(pair.fds[0], SO_RCVTIMEO);
    char byte = 0;
    return ::syscall(SYS_read, pair.fds[0], &byte, 1);
  });
  add("recvmsg_timeout", [pair = make_sockets()] {
    set_timeout(pair.fds[0], SO_RCVTIMEO);
    char byte = 0;
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return ::syscall(SYS_recvmsg, pair.fds[0], &message, 0);
  });
  add("recvfrom_waitall", [pair = make_sockets()] {
    if (::write(pair.fds[1], "some", 4) != 4) cannot("write");
    return ::syscall(SYS_recvfrom, pair.fds[0], bytes.data(), 100, MSG_WAITALL, nullptr, nullptr);
  });
  add("recvmsg_waitall", [pair = make_sockets()] {
    if (::write(pair.fds[1], "some", 4) != 4) cannot("write");
    static char space[100];
    iovec part{space, sizeof space};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    return ::syscall(SYS_recvmsg, pair.fds[0], &message, MSG_WAITALL);
  });
  add("recvmmsg", [pair = make_sockets(SOCK_DGRAM)] {
    if (::write(pair.fds[1], "some", 4) != 4) cannot("write");
    static char space[2][16];
    static iovec parts[2] = {{space[0], 16}, {space[1], 16}};
    mmsghdr messages[2] = {};
    for (int i = 0; i < 2; ++i) {
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    return ::syscall(SYS_recvmmsg, pair.fds[0], messages, 2, 0, nullptr);
  });
  add("sendto_timeout", [pair = make_sockets(SOCK_DGRAM)] {
    set_timeout(pair.fds[1], SO_SNDTIMEO);
    long result = 0;
    do {
      result = ::syscall(SYS_sendto, pair.fds[1], bytes.data(), 4096, 0, nullptr, 0);
    } while (result == 4096);
    return result;
  });
  add("accept", [fd = make_listener()] { return ::syscall(SYS_accept, fd, nullptr, nullptr); });
  add("accept4_timeout", [fd = make_listener()] {
    set_timeout(fd, SO_RCVTIMEO);
    return ::syscall(SYS_accept4, fd, nullptr, nullptr, 0);
  });
  add("accept_timeout", [fd = make_listener()] {
    set_timeout(fd, SO_RCVTIMEO);
    return ::syscall(SYS_accept, fd, nullptr, nullptr);
  });
  add("connect", [] {
    static FullListener listener;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    return ::syscall(SYS_connect, fd, &listener.address, listener.size);
  });
  add("connect_timeout", [] {
    static FullListener listener;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    set_timeout(fd, SO_SNDTIMEO);
    return ::syscall(SYS_connect, fd, &listener.address, listener.size);
  });
  add("semop", [] {
    const int id = semaphore_set();
    sembuf operation{0, -1, 0};
    return ::syscall(SYS_semop, id, &operation, 1);
  });
  add("semtimedop", [] {
    const int id = semaphore_set();
    sembuf operation{0, -1, 0};
    return ::syscall(SYS_semtimedop, id, &operation, 1, &long_time);
  });
  add("msgrcv", [] {
    const int id = message_queue();
    static char space[64];
    return ::syscall(SYS_msgrcv, id, space, 8, 0, 0);
  });
  add("mq_timedreceive", [] {
    char name[64];
    std::snprintf(name, sizeof name, "/blocked-target-%d", ::getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 16;
    const mqd_t queue = ::mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    ::mq_unlink(name);
    if (queue == -1) cannot("open a message queue");
    static char space[16];
    timespec until{};
    ::clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1000;
    return ::syscall(SYS_mq_timedreceive, queue, space, sizeof space, nullptr, &until);
  });
  add("wait4", [] {
    const pid_t child = sleeping_child();
    return ::syscall(SYS_wait4, child, nullptr, 0, nullptr);
  });
  add("waitid", [] {
    const pid_t child = sleeping_child();
    siginfo_t info{};
    return ::syscall(SYS_waitid, P_PID, child, &info, WEXITED, nullptr);
  });
  add("flock", [] {
    static const int held = [] {
      char name[] = "/tmp/blocked-target-XXXXXX";
      const int fd = ::mkstemp(name);
      const int other = ::open(name, O_RDWR | O_CLOEXEC);
      ::unlink(name);
      ::flock(fd, LOCK_EX);
      return other;
    }();
    return ::syscall(SYS_flock, held, LOCK_EX);
  });
  add("fcntl_setlkw", [] {
    static const int held = [] {
      char name[] = "/tmp/blocked-target-XXXXXX";
      const int fd = ::mkstemp(name);
      const int other = ::open(name, O_RDWR | O_CLOEXEC);
      ::unlink(name);
      struct flock lock {};
      lock.l_type = F_WRLCK;
      ::fcntl(fd, F_OFD_SETLK, &lock);
      return other;
    }();
    struct flock lock {};
    lock.l_type = F_WRLCK;
    return ::syscall(SYS_fcntl, held, F_OFD_SETLKW, &lock);
  });
  add("open_fifo", [] {
    char name[64];
    std::snprintf(name, sizeof name, "/tmp/blocked-target-fifo-%d", ::getpid());
    ::mkfifo(name, 0600);
    remove_at_the_end([name] { ::unlink(name); });
    return ::syscall(SYS_openat, AT_FDCWD, name, O_RDONLY);
  });
  add("io_getevents", [] {
    static aio_context_t context = [] {
      aio_context_t made = 0;
      if (::syscall(SYS_io_setup, 8, &made) != 0) cannot("make an aio context");
      return made;
    }();
    io_event event{};
    return ::syscall(SYS_io_getevents, context, 1, 1, &event, nullptr);
  });
  add("io_pgetevents", [] {
    static aio_context_t context = [] {
      aio_context_t made = 0;
      if (::syscall(SYS_io_setup, 8, &made) != 0) cannot("make an aio context");
      return made;
    }();
    io_event event{};
    return ::syscall(SYS_io_pgetevents, context, 1, 1, &event, nullptr, nullptr);
  });
  add("io_uring_enter", [] {
    static int ring = [] {
      io_uring_params parameters{};
      const long fd = ::syscall(SYS_io_uring_setup, 4, &parameters);
      if (fd < 0) cannot("make an io_uring");
      return static_cast<int>(fd);
    }();
    return ::syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
  });
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "";
  if (wanted == "list") {
    for (const Call& call : calls()) std::printf("%s\n", call.name);
    std::printf("\n");
    return 0;
  }
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGRTMAX - 1);
  ::sigaddset(&blocked, SIGRTMAX);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  for (const Call& call : calls()) {
    if (wanted != call.name) continue;
    std::printf("tid %d\n", ::gettid());
    std::fflush(stdout);
    errno = 0;
    const long result = call.make();
    const int error_number = errno;
    if (result == -1) {
      std::printf("returned %s\n", error_number == EINTR ? "EINTR" : std::strerror(error_number));
    } else {
      std::printf("returned %ld\n", result);
    }
    std::fflush(stdout);
    for (;;) ::pause();
  }
  std::fprintf(stderr, "usage: blocked_target list | NAME\n");
  return 2;
}
