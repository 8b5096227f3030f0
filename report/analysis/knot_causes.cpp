// Causes that are knots of the graph: cycles, and groups each of whom waits for any of several, all in the
// group.
#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <vector>

#include "report/analysis/cause_searches.h"
#include "report/analysis/interruptions.h"
#include "report/analysis/link_roles.h"

namespace pythreads::report {
namespace {

using pyframes::PySyncKind;
using pyframes::PyTrigger;

struct RoleKind {
  LinkRole role;
  std::string_view kind;
};
// A knot with a link of this role is of this kind; the first row that matches.
constexpr std::array kinds_by_role{
    RoleKind{LinkRole::gil, "gil-native-cycle"},    RoleKind{LinkRole::import, "import-cycle"},
    RoleKind{LinkRole::pool, "pool-starvation"},    RoleKind{LinkRole::loop, "loop-waits-on-itself"},
    RoleKind{LinkRole::slot, "resource-exhausted"}, RoleKind{LinkRole::permit, "resource-exhausted"},
    RoleKind{LinkRole::notifier, "lost-wakeup"},    RoleKind{LinkRole::join, "join-cycle"}};

std::string_view kind_of_self(const ThreadIndex& index, Node node, const Edge& link) {
  const std::optional<Interruption> found = interruption(index, node, index.resource(link.resource));
  if (!found) return "self-deadlock";
  switch (found->trigger) {
    case PyTrigger::finalizer:
    case PyTrigger::gc:
      return "finalizer-reentry";
    case PyTrigger::signal_handler:
      return "signal-reentry";
    case PyTrigger::none:
    case PyTrigger::atexit:
    case PyTrigger::import:
    case PyTrigger::trace:
      break;
  }
  return "self-deadlock";
}

class Knots {
 public:
  explicit Knots(CauseList& causes) : causes_(causes), index_(causes.index()) {}

  void run() {
    for (const Knot& knot : find_knots(causes_.stuck())) add(knot);
  }

 private:
  void add(const Knot& knot) {
    std::vector<const Edge*> links;
    std::set<LinkRole> roles;
    bool any_of = false, blocked = false;
    for (const Node member : knot.members) {
      blocked = blocked || index_.finding(member).status == Status::blocked;
      for (const Edge& edge : causes_.stuck_from(member)) {
        if (!std::binary_search(knot.members.begin(), knot.members.end(), edge.to)) continue;
        links.push_back(&edge);
        roles.insert(role_of(edge, index_));
        any_of = any_of || edge.any_of;
      }
    }
    // Who all wait for work that any of them could give are idle: work comes from elsewhere.
    if (!blocked) return;
    causes_.add_cycle(knot.cycle);

    CauseDraft draft;
    draft.kind = kind_of(knot, roles, *links.front());
    draft.cycle = knot.cycle;
    draft.nodes = any_of ? knot.members : knot.cycle;
    if (draft.nodes.size() != knot.cycle.size()) draft.fingerprinted = knot.members;
    draft.grade = grade_of(knot);
    if (draft.kind == "pool-starvation" && !has_all_workers(knot)) draft.grade.add(Certainty::likely);
    std::set<std::string> seen;
    for (const Edge* link : links) {
      if (link->resource && seen.insert(*link->resource).second) draft.resources.push_back(*link->resource);
    }
    causes_.add(draft);
  }

  std::string_view kind_of(const Knot& knot, const std::set<LinkRole>& roles, const Edge& first) const {
    for (const RoleKind& row : kinds_by_role) {
      if (roles.contains(row.role)) return row.kind;
    }
    return knot.cycle.size() > 1 ? "lock-cycle" : kind_of_self(index_, knot.cycle.front(), first);
  }

  // As the weakest link of all that it stands on: who waits for any of several is stuck only if each of these
  // is, also the one whose own reason lies outside of the knot.
  Grade grade_of(const Knot& knot) const {
    Grade grade;
    const auto add = [&](Node node) {
      const std::span<const Edge> edges = causes_.stuck_from(node);
      for (std::size_t i = 0; i < edges.size();) {
        Certainty surest = Certainty::possible;
        const Node to = edges[i].to;
        for (; i < edges.size() && edges[i].to == to; ++i) {
          surest = std::max(surest, edges[i].certainty);
          if (edges[i].timed) grade.add_limit(index_.finding(node).wait);
        }
        grade.add(surest);
      }
      if (edges.empty()) add_never_woken(node, grade);
    };
    for (const Node node : knot.members) add(node);
    if (causes_.waits_for().nodes().size() > knot.members.size()) {
      for (const Node node : causes_.waits_for().from(knot.members)) add(node);
    }
    // Who could end it and is stuck as well: by what keeps these.
    const std::vector<Node> others = causes_.ways_out_of(knot.members);
    for (const Node node : others) add(node);
    for (const Node node : causes_.waits_for().from(others)) add(node);
    return grade;
  }

  void add_never_woken(Node node, Grade& grade) const {
    const std::optional<Wait>& wait = index_.finding(node).wait;
    const Resource* resource = wait ? index_.resource(wait->resource) : nullptr;
    if (resource == nullptr) return grade.add(Certainty::likely);
    grade.add(std::min(resource->owner_certainty, wait->certainty));
    if (wait->timeout.value_or(true)) grade.add_limit(wait);
  }

  // A pool that has fewer workers than it may have starts another at the next submit.
  bool has_all_workers(const Knot& knot) const {
    for (const Node member : knot.members) {
      const std::span<const Edge> edges = causes_.stuck_from(member);
      if (edges.empty() || role_of(edges.front(), index_) != LinkRole::pool) continue;
      const JoinedThread& thread = index_.joined(member);
      const Resource* waited = index_.resource(edges.front().resource);
      const pyframes::PySyncObject* future = pyframes::find_sync_object(*thread.runtime, waited->address);
      if (future == nullptr) return false;
      const auto workers = std::count_if(edges.begin(), edges.end(), [&](const Edge& each) {
        return each.resource == edges.front().resource;
      });
      if (workers < most_workers(*thread.runtime, future->queue)) return false;
    }
    return true;
  }

  // 0: not known.
  static std::int64_t most_workers(const pyframes::PyRuntimeState& runtime, attach::Address queue) {
    for (const pyframes::PySyncObject& each : runtime.sync_objects) {
      if (each.kind == PySyncKind::executor && each.queue == queue) return each.capacity.value_or(0);
    }
    return 0;
  }

  CauseList& causes_;
  const ThreadIndex& index_;
};

}  // namespace

void find_knot_causes(CauseList& causes) {
  Knots(causes).run();
}

}  // namespace pythreads::report
