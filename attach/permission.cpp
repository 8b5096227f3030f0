#include "attach/permission.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "attach/proc_parse.h"

namespace pythreads::attach {
namespace {

constexpr std::size_t small_file = std::size_t{64} << 10;
constexpr int most_ancestors = 128;
constexpr std::uint64_t kernel_thread_flag = 0x00200000;  // PF_KTHREAD, include/linux/sched.h at v6.1

bool has(std::uint64_t capabilities, unsigned capability) {
  return (capabilities >> capability & 1U) != 0;
}

std::string read_own(const char* path) {
  std::string text(4096, '\0');
  ScopedFd file(::open(path, O_RDONLY | O_CLOEXEC));
  ssize_t length = file.is_open() ? ::read(file.get(), text.data(), text.size()) : -1;
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  while (text.ends_with('\n') || text.ends_with('\0')) text.pop_back();
  return text;
}

std::string name_of(pid_t pid) {
  return read_own(("/proc/" + std::to_string(pid) + "/comm").c_str());
}

bool descends_from_us(pid_t pid) {
  for (int up = 0; up < most_ancestors && pid > 1; ++up) {
    std::optional<StatLine> stat = parse_stat(read_own(("/proc/" + std::to_string(pid) + "/stat").c_str()));
    if (!stat) return false;
    if (stat->parent_pid == ::getpid()) return true;
    pid = stat->parent_pid;
  }
  return false;
}

// uid_map's columns are padded: compared by their words.
std::string words_of(std::string_view text) {
  std::string words;
  for (char c : text) {
    bool blank = c == ' ' || c == '\n';
    if (!blank) words += c;
    if (blank && !words.empty() && words.back() != ' ') words += ' ';
  }
  return words;
}

// Whether PTRACE_SEIZE works at all. The child says first that it may be traced: after a change of user, or
// started with file capabilities, neither we nor it would be dumpable.
std::optional<bool> try_ptrace() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  ScopedFd reading(ends[0]);
  ScopedFd writing(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return std::nullopt;
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_DUMPABLE, 1);
    if (::write(writing.get(), "r", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  writing.reset();
  char ready = 0;
  ssize_t got = 0;
  do {
    got = ::read(reading.get(), &ready, 1);
  } while (got < 0 && errno == EINTR);
  std::optional<bool> works;
  if (got == 1) works = ::ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0;
  ::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return works;
}

void read_target(PtraceFacts& facts, const ProcDir& folder) {
  Result<std::string> text = folder.read_file((folder.memory_folder() + "stat").c_str(), small_file);
  if (!text && text.error().code == ErrorCode::process_ended) {
    facts.exists = false;
    return;
  }
  if (std::optional<StatLine> stat = text ? parse_stat(*text) : std::nullopt) {
    facts.state = stat->state;
    facts.parent_pid = stat->parent_pid;
    facts.kernel_thread = (stat->flags & kernel_thread_flag) != 0;
  }
  text = folder.read_file((folder.memory_folder() + "status").c_str(), small_file);
  Status status = text ? parse_status(*text) : Status{};
  facts.tracer_pid = status.tracer_pid.value_or(0);
  if (facts.tracer_pid != 0) facts.tracer_name = name_of(facts.tracer_pid);
  facts.target_capabilities = status.permitted_capabilities.value_or(0);
  if (status.uids && status.gids) {
    facts.target_uid = (*status.uids)[1];
    facts.ids_are_ours = std::all_of(status.uids->begin(), status.uids->begin() + 3,
                                     [](uid_t id) { return id == ::getuid(); }) &&
                         std::all_of(status.gids->begin(), status.gids->begin() + 3,
                                     [](gid_t id) { return id == ::getgid(); });
  }
  struct stat seen {};
  if (::fstatat(folder.fd(), "stat", &seen, 0) == 0) facts.proc_owner = seen.st_uid;
  if (Result<std::string> map = folder.read_file("uid_map", small_file))
    facts.same_user_namespace = words_of(*map) == words_of(read_own("/proc/self/uid_map") + "\n");
}

void read_ourselves(PtraceFacts& facts) {
  Status status = parse_status(read_own("/proc/self/status"));
  facts.our_uid = ::geteuid();
  facts.our_capabilities = status.effective_capabilities.value_or(0);
  facts.root_would_have_it = has(status.bounding_capabilities.value_or(0), CAP_SYS_PTRACE) &&
                             status.no_new_privileges.value_or(0) == 0;
  facts.we_are_filtered = status.seccomp.value_or(0) == 2;
  std::string map = words_of(read_own("/proc/self/uid_map"));
  facts.in_first_user_namespace = map.empty() || map.ends_with("0 0 4294967295");
  std::string label = read_own("/proc/self/attr/current");
  if (label != "unconfined" && label != "kernel") facts.security_label = std::move(label);
  std::string scope = read_own("/proc/sys/kernel/yama/ptrace_scope");
  if (scope.size() == 1 && scope[0] >= '0' && scope[0] <= '3') facts.yama_scope = scope[0] - '0';
}

std::string who(const PtraceFacts& facts) {
  return facts.our_uid == 0 ? "root here" : "uid " + std::to_string(facts.our_uid);
}

std::string hint_for_capability(const PtraceFacts& facts) {
  if (!facts.root_would_have_it)
    return "this container or service withholds CAP_SYS_PTRACE: start it with docker run "
           "--cap-add=SYS_PTRACE, in "
           "Kubernetes with securityContext.capabilities.add: [SYS_PTRACE]";
  return "run it as root: sudo pythreads …";
}

Error denied(std::string message, std::string hint = {}) {
  return {ErrorCode::not_permitted, std::move(message), std::move(hint)};
}

}  // namespace

PtraceFacts read_ptrace_facts(const ProcDir& folder, pid_t pid) {
  PtraceFacts facts;
  facts.is_ourselves = pid == ::getpid();
  read_target(facts, folder);
  if (!facts.exists) return facts;
  read_ourselves(facts);
  facts.is_our_descendant = descends_from_us(pid);
  if (!facts.is_ourselves && facts.tracer_pid == 0) facts.ptrace_works = try_ptrace();
  return facts;
}

PtraceFacts read_own_ptrace_facts() {
  PtraceFacts facts;
  read_ourselves(facts);
  facts.ptrace_works = try_ptrace();
  return facts;
}

bool PtraceFacts::may_trace_all() const {
  return has(our_capabilities, CAP_SYS_PTRACE);
}

Error explain_ptrace_failure(const PtraceFacts& facts, pid_t pid, int error_number) {
  std::string process = "process " + std::to_string(pid);
  std::string refused = std::generic_category().message(error_number);
  if (!facts.exists) return {ErrorCode::process_ended, process + " has ended", {}};
  if (facts.state == 'Z' || facts.state == 'X')
    return {ErrorCode::zombie,
            process + " has ended and its parent (pid " + std::to_string(facts.parent_pid) +
                ") has not noticed yet",
            {}};
  if (facts.is_ourselves) return denied(process + " is pythreads itself, and no process can trace itself");
  if (facts.kernel_thread) return denied(process + " is a thread of the kernel and has no memory of its own");
  bool was_denied = error_number == EPERM || error_number == EACCES || error_number == EBUSY;
  if (!was_denied && error_number != ENOSYS)
    return {ErrorCode::unreadable, "attaching to " + process + ": " + refused, {}};

  if (facts.tracer_pid != 0) {
    std::string tracer = "pid " + std::to_string(facts.tracer_pid);
    if (!facts.tracer_name.empty()) tracer = facts.tracer_name + " (" + tracer + ")";
    return {ErrorCode::already_traced, process + " is already traced by " + tracer,
            "a process has one tracer at a time: detach or end " + tracer};
  }
  if (facts.yama_scope == 3)
    return denied("Yama forbids tracing altogether (kernel.yama.ptrace_scope is 3)",
                  "the value 3 stays until the machine is started again with another");
  bool has_capability = has(facts.our_capabilities, CAP_SYS_PTRACE);
  if (facts.yama_scope == 2 && !has_capability)
    return denied("Yama allows tracing only with CAP_SYS_PTRACE (kernel.yama.ptrace_scope is 2)",
                  hint_for_capability(facts));
  if (facts.ptrace_works == false) {
    if (facts.we_are_filtered)
      return denied(
          "ptrace is refused even for a child of our own, by a seccomp filter that we run under (" + refused +
              ")",
          "start the container with docker run --cap-add=SYS_PTRACE, or with a seccomp profile that allows "
          "ptrace and process_vm_readv");
    return denied("ptrace is refused even for a child of our own (" + refused +
                  "): by a security module or a sandbox");
  }

  bool other_namespace = facts.same_user_namespace == false && !facts.in_first_user_namespace;
  if (has_capability && other_namespace)
    return denied(process + " is in another user namespace, where our CAP_SYS_PTRACE does not count",
                  "run it outside of this user namespace");
  if (!has_capability) {
    if (facts.ids_are_ours == false) {
      std::string owner = facts.target_uid ? "uid " + std::to_string(*facts.target_uid) : "another user";
      return denied(process + " runs as " + owner + ", pythreads as " + who(facts) +
                        " without the capability CAP_SYS_PTRACE",
                    hint_for_capability(facts));
    }
    if (facts.proc_owner && facts.target_uid && *facts.proc_owner != *facts.target_uid)
      return denied(
          process +
              " is not dumpable (prctl PR_SET_DUMPABLE, a change of its user, or an executable that this "
              "user may not read), and CAP_SYS_PTRACE is missing",
          hint_for_capability(facts));
    if ((facts.target_capabilities & ~facts.our_capabilities) != 0)
      return denied(process + " has capabilities that pythreads has not, and CAP_SYS_PTRACE is missing",
                    hint_for_capability(facts));
    if (facts.yama_scope == 1 && !facts.is_our_descendant)
      return denied(
          "Yama allows tracing only of one's own children (kernel.yama.ptrace_scope is 1)",
          facts.root_would_have_it
              ? "run it as root: sudo pythreads …, or allow it: sudo sysctl kernel.yama.ptrace_scope=0"
              : hint_for_capability(facts));
  }
  std::string label =
      facts.security_label.empty() ? "" : "; a security module has us under " + facts.security_label;
  return denied("the kernel refuses access to " + process + " (" + refused +
                "), and not for its user, its capabilities, its dumpable flag, a tracer, Yama or seccomp" +
                label);
}

Error explain_ptrace_failure(const ProcDir& folder, pid_t pid, int error_number) {
  return explain_ptrace_failure(read_ptrace_facts(folder, pid), pid, error_number);
}

}  // namespace pythreads::attach
