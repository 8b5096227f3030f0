#include "cli/movement.h"

#include <string_view>
#include <utility>

namespace pythreads::cli {
namespace {

namespace doc = report::document;

// The first look's stop wakes a sleeping thread and lets it sleep again: 2 switches, 1 to 3 where others
// compete for the processor. Whoever goes round a loop in a second between two looks has more.
constexpr std::uint64_t switches_of_a_stop = 4;
constexpr std::uint64_t cpu_of_a_stop_ms = 10;  // a clock tick, below which cpu_ms can't tell

}  // namespace

bool is_unmoved(const RunCounts& before, const RunCounts& now) {
  if (!before.switches || !now.switches) return false;
  if (*now.switches - *before.switches > switches_of_a_stop) return false;  // less: another thread
  return !before.cpu_ms || !now.cpu_ms || *now.cpu_ms - *before.cpu_ms <= cpu_of_a_stop_ms;
}

void Standing::count(const report::Snapshot& look, const report::ProcessFindings& findings) {
  std::unordered_map<pid_t, Place> places;
  for (const report::SnapshotThread& thread : look.threads) places[thread.os.tid].ran = run_counts(thread.os);
  for (const pyframes::PyInterpreter& interpreter : look.runtime.interpreters) {
    for (const pyframes::PyThread& thread : interpreter.threads) {
      const auto place = places.find(thread.tid);
      if (place == places.end()) continue;
      for (const pyframes::PyFrame& frame : thread.frames)
        place->second.frames.emplace_back(frame.address, frame.code, frame.line);
    }
  }
  // Resources have their ids for one look; what they are is told by the address.
  std::unordered_map<std::string_view, attach::Address> resources;
  for (const report::Resource& each : findings.resources) resources.emplace(each.id, each.address);

  for (const report::ThreadFinding& thread : findings.threads) {
    const auto place = places.find(thread.node.tid);
    if (place == places.end()) continue;
    if (thread.wait) {
      place->second.wait_kind += thread.wait->kind + ' ';
      if (thread.wait->resource) place->second.waited_for = resources[*thread.wait->resource];
    }
    // One that runs may have been on its processor all the time, without a switch.
    const auto before = places_.find(place->first);
    if (before != places_.end() && thread.status != report::Status::running &&
        is_unmoved(before->second.ran, place->second.ran) && before->second.frames == place->second.frames &&
        before->second.wait_kind == place->second.wait_kind &&
        before->second.waited_for == place->second.waited_for) {
      place->second.looks = before->second.looks + 1;
    }
  }
  places_ = std::move(places);
}

void Standing::tell(doc::Process& process) const {
  for (doc::Thread& thread : process.threads) {
    const auto place = thread.tid ? places_.find(static_cast<pid_t>(*thread.tid)) : places_.end();
    if (place != places_.end()) thread.unmoved_looks = place->second.looks;
  }
}

}  // namespace pythreads::cli
