#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "attach/memory_room.h"
#include "attach/permission.h"
#include "attach/proc_dir.h"
#include "attach/sandbox.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/meant_process.h"
#include "cli/output.h"
#include "cli/spoken_command.h"
#include "pyframes/runtime.h"
#include "report/render/text.h"

namespace pythreads::cli {
namespace {

std::string in_mib(std::uint64_t bytes) {
  return std::to_string(bytes / (1024 * 1024)) + " MiB";
}

// What is told, a line for each thing that was looked at, and how it would end.
struct Diagnosis {
  std::string text;
  ExitCode code = ExitCode::done;

  void tell(const std::string& what, const std::string& said) {
    text += what + ": " + report::escaped(said) + "\n";
  }
  void fail(const std::string& what, const attach::Error& error) {
    tell(what, error.message);
    if (!error.hint.empty()) text += "  hint: " + report::escaped(error.hint) + "\n";
    if (code == ExitCode::done) code = exit_code(error.code);
  }
};

std::string yama(std::optional<int> scope) {
  if (!scope) return "this kernel has none";
  const std::string said = "kernel.yama.ptrace_scope is " + std::to_string(*scope) + ": ";
  if (*scope == 0) return said + "it stands in nobody's way";
  if (*scope == 1) return said + "without CAP_SYS_PTRACE only one's own children";
  return said + (*scope == 2 ? "only with CAP_SYS_PTRACE" : "nobody, until the machine is started again");
}

void tell_of_rights(Diagnosis& diagnosis) {
  const attach::PtraceFacts facts = attach::read_own_ptrace_facts();
  diagnosis.tell("user", "uid " + std::to_string(facts.our_uid) +
                             (facts.may_trace_all() ? ", with CAP_SYS_PTRACE: the processes of all users"
                                                    : ", without CAP_SYS_PTRACE: this user's processes"));
  diagnosis.tell("Yama", yama(facts.yama_scope));
  const bool nobody = facts.ptrace_works == false || facts.yama_scope == 3 ||
                      (facts.yama_scope == 2 && !facts.may_trace_all());
  if (nobody) {
    diagnosis.fail("ptrace", attach::explain_ptrace_failure(facts, 0, EPERM));
  } else {
    diagnosis.tell("ptrace", facts.ptrace_works ? "it works on a child of our own" : "it could not be tried");
  }
}

void tell_of_sandbox(Diagnosis& diagnosis) {
  const attach::SandboxParts parts = attach::find_sandbox_parts();
  std::string said = "what is read after the stop is decoded without capabilities";
  if (parts.seccomp) said += ", under a seccomp filter";
  if (parts.landlock) said += ", under Landlock";
  if (!parts.seccomp) said += "; this kernel has no seccomp filters";
  if (!parts.landlock) said += "; this kernel has no Landlock, or it is off";
  diagnosis.tell("sandbox", said + " (--no-sandbox does without)");
}

// In a pod at its limit a look can be killed; the target is not.
void tell_of_memory(Diagnosis& diagnosis, std::size_t threads) {
  const std::uint64_t needed = attach::estimate_memory(threads);
  const std::string look = "a look at " + std::to_string(threads) + (threads == 1 ? " thread" : " threads") +
                           " takes up to " + in_mib(needed);
  const std::optional<attach::MemoryRoom> room = attach::find_memory_room();
  if (!room) return diagnosis.tell("memory", "no cgroup limits it here; " + look);
  const std::string left = in_mib(room->left) + " of " + in_mib(room->limit) + " are left in " + room->cgroup;
  if (room->left >= needed) return diagnosis.tell("memory", left + "; " + look);
  diagnosis.tell("memory", "WARNING: " + left + ", and " + look +
                               ": the kernel may kill pythreads (it asks to be the first), not the target");
}

// As far as a look goes before it holds anything. The threads that were counted.
std::size_t tell_of_process(Diagnosis& diagnosis, pid_t pid) {
  attach::Result<attach::Attachment> prepared = attach::Attachment::prepare(pid);
  if (!prepared) {
    diagnosis.fail("attach", point_to_inner(std::move(prepared).error(), pid));
    return 1;
  }
  attach::Target& target = prepared->target();
  std::size_t threads = 1;
  if (attach::Result<attach::ProcDir> dir = attach::ProcDir::open(pid)) {
    if (const attach::Result<std::vector<pid_t>> tids = dir->list_threads()) threads = tids->size();
    const attach::PtraceFacts facts = attach::read_ptrace_facts(*dir, pid);
    attach::ThreadState leader;
    leader.tid = pid;
    dir->read_status(leader);
    if (leader.seccomp == 2) {
      diagnosis.tell("seccomp",
                     "the process runs under a filter. A dump finds out, as far as that can be known, "
                     "whether a stop is safe "
                     "under it, and else stops nothing");
    }
    if (facts.tracer_pid != 0) {
      diagnosis.fail("attach", attach::explain_ptrace_failure(facts, pid, EPERM));
      return threads;
    }
  }
  const std::string command = spoken_command(target.process.command);
  diagnosis.tell("attach", "process " + std::to_string(pid) + (command.empty() ? "" : " (" + command + ")") +
                               " can be attached to");
  const attach::Result<pyframes::Runtime> runtime = pyframes::find_runtime(target);
  if (!runtime) {
    diagnosis.fail("Python", runtime.error());
    return threads;
  }
  diagnosis.tell("Python", "CPython " + to_string(runtime->version) +
                               (runtime->free_threaded ? ", free-threaded" : "") + ", in " +
                               runtime->library);
  return threads;
}

}  // namespace

ExitCode run_doctor(const Options& options) {
  Diagnosis diagnosis;
  std::size_t threads = 1;
  if (!options.pids.empty()) threads = tell_of_process(diagnosis, options.pids.front());
  tell_of_rights(diagnosis);
  tell_of_sandbox(diagnosis);
  tell_of_memory(diagnosis, threads);
  const attach::Result<void> printed = write_standard_output(diagnosis.text);
  if (printed) return diagnosis.code;
  print_error(printed.error());
  return exit_code(printed.error().code);
}

}  // namespace pythreads::cli
