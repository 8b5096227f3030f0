#include "report/analysis/link_roles.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pythreads::report {
namespace {

struct KindRole {
  std::string_view wait;
  LinkRole role;
};
// For resources that another owns.
constexpr std::array owned{
    KindRole{"gil", LinkRole::gil},         KindRole{"import", LinkRole::import},
    KindRole{"join", LinkRole::join},       KindRole{"handle", LinkRole::join},
    KindRole{"shutdown", LinkRole::join},   KindRole{"native-mutex", LinkRole::native},
    KindRole{"future", LinkRole::runner},   KindRole{"native-rwlock", LinkRole::native},
    KindRole{"condition", LinkRole::runner}};

bool has_noted(const JoinedThread& thread, std::string_view variable, attach::Address object) {
  if (thread.python == nullptr || object.is_null()) return false;
  const auto& noted = thread.python->frame_objects;
  return std::any_of(noted.begin(), noted.end(), [&](const pyframes::PyFrameObject& each) {
    return each.variable == variable && each.object == object;
  });
}

LinkRole role_without_owner(const Edge& edge, const Resource& resource, const ThreadIndex& index) {
  if (edge.kind == "future") {
    const JoinedThread& to = index.joined(edge.to);
    const pyframes::PySyncObject* future = pyframes::find_sync_object(*to.runtime, resource.address);
    if (future == nullptr) return LinkRole::notifier;
    if (has_noted(to, "work_queue", future->queue)) return LinkRole::pool;
    return has_noted(to, "self", future->loop) ? LinkRole::loop : LinkRole::notifier;
  }
  if (edge.kind == "semaphore") {
    const std::vector<Hold>& holds = index.finding(edge.to).holds;
    const bool holds_one = std::any_of(holds.begin(), holds.end(),
                                       [&](const Hold& each) { return each.resource == resource.id; });
    return holds_one ? LinkRole::permit : LinkRole::notifier;
  }
  return edge.kind == "queue-put" ? LinkRole::slot : LinkRole::notifier;
}

}  // namespace

LinkRole role_of(const Edge& edge, const ThreadIndex& index) {
  const Resource* resource = index.resource(edge.resource);
  if (resource != nullptr && !resource->owner && edge.any_of)
    return role_without_owner(edge, *resource, index);
  if (resource != nullptr && !resource->owner && edge.kind == "future")
    return role_without_owner(edge, *resource, index);
  const auto row =
      std::find_if(owned.begin(), owned.end(), [&](const KindRole& each) { return each.wait == edge.kind; });
  return row == owned.end() ? LinkRole::lock : row->role;
}

}  // namespace pythreads::report
