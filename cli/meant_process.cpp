#include "cli/meant_process.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "attach/attachment.h"
#include "attach/process_tree.h"
#include "cli/spoken_command.h"
#include "pyframes/python_reader.h"

namespace pythreads::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_processes = 256;  // looked into
constexpr std::size_t most_listed = 8;
constexpr std::chrono::seconds most_time{2};

struct Python {
  pid_t pid = 0;
  std::string command;
};

std::string spoken(const attach::Process& process) {
  const std::string text = spoken_command(process.command);
  return text.empty() ? process.executable : text;
}

// One that can't be read by us is a Python all the same; one that can't be attached to is not known to be.
bool is_python(attach::Target& target) {
  const attach::Result<pyframes::Runtime> runtime = pyframes::find_runtime(target);
  return runtime || runtime.error().code == attach::ErrorCode::unsupported ||
         runtime.error().code == attach::ErrorCode::corrupt;
}

struct Below {
  std::vector<Python> pythons;  // the topmost: what a Python started is its own affair
  std::size_t others = 0;
  bool all_seen = true;
};

Below look_below(pid_t pid, Clock::time_point deadline) {
  Below below;
  std::vector<pid_t> pending = attach::list_children(pid);
  for (std::size_t i = 0; i < pending.size(); ++i) {
    if (i == most_processes || Clock::now() >= deadline) {
      below.all_seen = false;
      break;
    }
    attach::Result<attach::Attachment> process = attach::Attachment::prepare(pending[i]);
    if (process && is_python(process->target())) {
      below.pythons.push_back({pending[i], spoken(process->target().process)});
      continue;
    }
    ++below.others;
    if (!process && process.error().code == attach::ErrorCode::not_permitted) below.all_seen = false;
    for (const pid_t child : attach::list_children(pending[i])) {
      if (std::find(pending.begin(), pending.end(), child) == pending.end()) pending.push_back(child);
    }
  }
  return below;
}

std::string listed(const std::vector<Python>& pythons) {
  std::string text;
  for (std::size_t i = 0; i < std::min(pythons.size(), most_listed); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(pythons[i].pid) + " (" + pythons[i].command + ")";
  }
  if (pythons.size() > most_listed) text += " and " + std::to_string(pythons.size() - most_listed) + " more";
  return text;
}

std::string processes(std::size_t count) {
  return count == 1 ? "the process" : "the " + std::to_string(count) + " processes";
}

}  // namespace

attach::Error point_to_python(attach::Error error, pid_t pid, Clock::time_point deadline) {
  const Below below = look_below(pid, std::min(deadline, Clock::now() + most_time));
  const std::string none_left = below.all_seen ? "" : ", of those that could be looked into";
  if (below.pythons.size() == 1) {
    const Python& python = below.pythons.front();
    error.hint = "the only Python below it" + none_left + " is process " + std::to_string(python.pid) + " (" +
                 python.command + "): pythreads dump " + std::to_string(python.pid);
  } else if (!below.pythons.empty()) {
    error.hint = "below it" + none_left + " are the Pythons " + listed(below.pythons);
  } else if (below.others > 0) {
    error.message += ", nor in " + processes(below.others) + " below it" + none_left;
  }
  return error;
}

attach::Error point_to_inner(attach::Error error, pid_t pid) {
  if (error.code != attach::ErrorCode::no_such_process || !error.hint.empty()) return error;
  const std::vector<pid_t> found = attach::find_by_inner_pid(pid);
  if (found.empty()) return error;
  std::string pids;
  for (const pid_t each : found) pids += (pids.empty() ? "" : ", ") + std::to_string(each);
  error.hint = "inside of a pid namespace " + std::to_string(pid) + " is the pid of process " + pids +
               (found.size() == 1 ? ": pythreads dump " + pids : " here: give that pid");
  return error;
}

}  // namespace pythreads::cli
