#include "report/analysis/verdict.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "report/analysis/causes.h"
#include "report/analysis/standstill.h"
#include "report/analysis/thread_index.h"

namespace pythreads::report {
namespace {

class Judgement {
 public:
  Judgement(std::span<const JudgedProcess> processes, const ThreadIndex& index, Findings& findings)
      : processes_(processes), index_(index), findings_(findings) {}

  void run() {
    for (const JudgedProcess& process : processes_) judge_process(process);
    judge_whole();
  }

 private:
  // Without a cause: what the threads do, and whether enough is known to say so.
  std::pair<Verdict, std::string> judge_threads(const JudgedProcess& process) const {
    std::size_t running = 0, waiting = 0, idle = 0, blocked = 0, owner_unknown = 0, wait_unknown = 0;
    std::size_t known = 0, for_gil = 0;
    const std::vector<ThreadFinding>& threads = process.findings->threads;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const ThreadFinding& thread = threads[i];
      if (process.threads[i].is_suspended()) continue;  // its OS thread is counted already
      if (thread.status == Status::running) ++running;
      if (process.threads[i].python == nullptr) continue;  // native threads have their own reasons to sleep
      ++known;
      waiting += thread.status == Status::waiting ? 1 : 0;
      idle += thread.status == Status::idle ? 1 : 0;
      blocked += thread.status == Status::blocked ? 1 : 0;
      for_gil += thread.wait && thread.wait->kind == "gil" ? 1 : 0;
      if (process.threads[i].os == nullptr || (thread.wait && thread.wait->kind == "unknown")) ++wait_unknown;
      owner_unknown += needs_owner(thread) ? 1 : 0;
    }
    const std::string blocked_too =
        blocked > for_gil ? ", " + std::to_string(blocked - for_gil) + " of them blocked" : "";
    if (running > 0) {
      std::string what = std::to_string(running) + (running == 1 ? " thread runs" : " threads run");
      const auto is_suspended = [](const JoinedThread& each) { return each.is_suspended(); };
      const auto suspended = std::count_if(process.threads.begin(), process.threads.end(), is_suspended);
      const std::size_t others = threads.size() - static_cast<std::size_t>(suspended) - running;
      if (others > 0)
        what += ", " + std::to_string(others) + (others == 1 ? " waits" : " wait") + blocked_too;
      return {Verdict::running, what};
    }
    if (known == 0) return {Verdict::unknown, "no Python thread could be read"};
    if (for_gil > 0) {
      return {Verdict::running, "no thread runs at this moment, and " + std::to_string(for_gil) +
                                    (for_gil == 1 ? " is" : " are") + " about to take the GIL"};
    }
    if (wait_unknown > 0) {
      return {Verdict::unknown, "no thread runs, and what " + std::to_string(wait_unknown) + " of " +
                                    std::to_string(known) + " wait for could not be told"};
    }
    if (owner_unknown > 0 && is_standstill(process)) {
      return {Verdict::stalled, "at this moment " + first_without_owner(process) +
                                    "; who holds it is not known, and " +
                                    (known == 1 ? "it is the only Python thread"
                                                : "none of the " + std::to_string(known) +
                                                      " Python threads is left that could release it")};
    }
    if (owner_unknown > 0 || waiting + idle == 0) {
      const std::size_t count = owner_unknown > 0 ? owner_unknown : blocked;
      return {Verdict::unknown, "no thread runs, and whom " + std::to_string(count) + " of " +
                                    std::to_string(known) + " threads wait for is not known"};
    }
    std::string what = "no thread runs:";
    const auto add = [&](std::size_t count, std::string_view one, std::string_view many) {
      if (count == 0) return;
      if (what.back() != ':') what += ',';
      what += ' ' + std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
    };
    add(waiting, "waits for the outside", "wait for the outside");
    add(idle, "is idle", "are idle");
    add(blocked, "waits for another", "wait for others");
    return {Verdict::waiting, what};
  }

  // "\"one\" (tid 11) waits at bank.py:21 in transfer for bank.LOCK (Lock 0x…)"
  std::string first_without_owner(const JudgedProcess& process) const {
    for (const ThreadFinding& thread : process.findings->threads) {
      if (!needs_owner(thread)) continue;
      return index_.label(thread.node) + " waits" + index_.place(thread.node) + " for " +
             index_.label(index_.resource(thread.wait->resource));
    }
    return "a thread waits";
  }

  // It waits for something that somebody must own, and nobody is known to.
  bool needs_owner(const ThreadFinding& thread) const {
    if (thread.status != Status::blocked || !thread.wait) return false;
    const std::string& kind = thread.wait->kind;
    if (kind != "lock" && kind != "rlock" && kind != "futex" && kind != "import") return false;
    const Resource* waited = index_.resource(thread.wait->resource);
    return waited == nullptr || !waited->owner;
  }

  void judge_process(const JudgedProcess& process) const {
    ProcessFindings& own = *process.findings;
    std::size_t others = 0;
    const Cause* gravest = nullptr;
    for (const Cause& cause : findings_.causes) {
      const bool is_own =
          std::any_of(cause.nodes.begin(), cause.nodes.end(), [&](Node node) { return node.pid == own.pid; });
      if (!is_own) continue;
      if (gravest == nullptr) {
        gravest = &cause;
      } else {
        ++others;
      }
    }
    if (gravest == nullptr || gravest->verdict <= Verdict::waiting)
      std::tie(own.verdict, own.summary) = judge_threads(process);
    if (gravest == nullptr) return;
    if (gravest->verdict >= own.verdict || gravest->verdict > Verdict::waiting) {
      own.verdict = gravest->verdict;
      own.summary = gravest->sentence;
      if (others > 0) own.summary += "; and " + std::to_string(others) + " more";
    }
    own.fingerprint = gravest->fingerprint;
  }

  void judge_whole() {
    if (processes_.empty()) {
      findings_.verdict = Verdict::unknown;
      findings_.summary = "no process could be looked at";
      return;
    }
    const ProcessFindings* worst = processes_[0].findings;
    for (const JudgedProcess& process : processes_) {
      if (process.findings->verdict > worst->verdict) worst = process.findings;
    }
    findings_.verdict = worst->verdict;
    findings_.summary = worst->summary;
    findings_.fingerprint = worst->fingerprint;
    if (processes_.size() > 1) findings_.summary.insert(0, "process " + std::to_string(worst->pid) + ": ");
  }

  std::span<const JudgedProcess> processes_;
  const ThreadIndex& index_;
  Findings& findings_;
};

}  // namespace

void judge(std::span<const JudgedProcess> processes, Findings& findings) {
  const ThreadIndex index(processes, findings.edges);
  find_causes(processes, index, findings);
  Judgement(processes, index, findings).run();
}

}  // namespace pythreads::report
