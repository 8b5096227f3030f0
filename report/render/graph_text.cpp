// The tree: each thread that others wait for, what they want of it, and who they are, one step deeper each.
#include <algorithm>
#include <map>
#include <set>

#include "report/render/graph.h"
#include "report/render/graph_model.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

namespace doc = document;

constexpr std::size_t waiters_shown = 5;  // of one resource that nobody waits behind
constexpr int deepest = 50;

class Tree {
 public:
  Tree(const Document& document, const doc::Process& process, const DocumentIndex& index, TextLines& lines)
      : document_(document), process_(process), index_(index), lines_(lines) {
    for (const doc::Thread& thread : process.threads) {
      if (is_drawn(thread)) waiters_[*thread.wait->resource].push_back(&thread);
    }
    for (const doc::Resource& resource : process.resources) {
      if (resource.owner && waiters_.contains(resource.id)) owned_[resource.owner->node].push_back(&resource);
    }
  }

  void add() {
    // A cycle has no root: its threads come first, each with those behind it.
    for (const doc::Cause& cause : document_.findings.causes) {
      for (const doc::Node& node : cause.nodes) {
        if (node.pid != process_.pid || shown_.contains(node) || !owned_.contains(node)) continue;
        in_cycle_.insert(cause.nodes.begin(), cause.nodes.end());
        add_thread(node, 0);
      }
    }
    for (const auto& [node, resources] : owned_) {
      const doc::Thread* thread = index_.thread(node);
      const bool waits_itself = thread != nullptr && is_drawn(*thread) && has_giver(*thread);
      if (!waits_itself) add_thread(node, 0);
    }
    for (const auto& [node, resources] : owned_) add_thread(node, 0);
    for (const doc::Resource& resource : process_.resources) {
      if (!resource.owner && waiters_.contains(resource.id)) add_unowned(resource);
    }
  }

 private:
  bool has_giver(const doc::Thread& thread) const {
    const doc::Resource* resource = index_.resource(thread.wait->resource);
    return resource != nullptr && resource->owner && index_.thread(resource->owner->node) != nullptr;
  }

  static std::string indent(int depth) { return std::string(static_cast<std::size_t>(depth) * 4, ' '); }

  static std::string doubt(Certainty certainty) {
    return certainty == Certainty::certain ? "" : " [" + std::string(word(certainty)) + ']';
  }

  void add_thread(const doc::Node& node, int depth) {
    if (!shown_.insert(node).second || depth > deepest) return;
    const doc::Thread* thread = index_.thread(node);
    std::string line = indent(depth) + node_label(index_, node);
    if (thread != nullptr) {
      const std::string place = place_label(*thread);
      line += ", " + std::string(word(thread->status)) + (place.empty() ? "" : " at " + place);
      if (const doc::Resource* resource = thread->wait ? index_.resource(thread->wait->resource) : nullptr) {
        if (is_drawn(*thread)) line += ", waits for " + resource_label(*resource);
      } else if (thread->wait) {
        line += " (" + thread->wait->kind + ')';
      }
    }
    lines_.add(line, in_cycle_.contains(node) ? Tint::red
                     : thread != nullptr      ? tint_of(thread->status)
                                              : Tint::bold);
    const auto owned = owned_.find(node);
    if (owned == owned_.end()) return;
    for (const doc::Resource* resource : owned->second) {
      std::string held =
          indent(depth) + "  has " + resource_label(*resource) + doubt(resource->owner->certainty);
      if (resource->kind == "Thread") held = indent(depth) + "  its end";
      if (thread != nullptr) {
        for (const doc::Hold& hold : thread->holds) {
          if (hold.resource != resource->id || !hold.acquired_at) continue;
          const doc::Place& at = *hold.acquired_at;
          held += ", taken at " + place_label(at.file, at.line, at.function);
        }
      }
      lines_.add(held + "; waited for by");
      add_waiters(*resource, depth + 1);
    }
  }

  void add_waiters(const doc::Resource& resource, int depth) {
    std::size_t left_out = 0, shown = 0;
    for (const doc::Thread* waiter : waiters_[resource.id]) {
      const doc::Node node{process_.pid, waiter->tid, {}};
      if (shown_.contains(node)) {
        lines_.add(indent(depth) + node_label(index_, node) + " at " + place_label(*waiter) +
                   (in_cycle_.contains(node) ? ": see above, this closes the cycle" : ": see above"));
      } else if (owned_.contains(node)) {
        add_thread(node, depth);
      } else if (shown++ < waiters_shown || lines_.style().full) {
        shown_.insert(node);
        const std::string limit =
            waiter->wait->timeout.value_or(false) ? ", " + limit_words(*waiter->wait) : std::string();
        lines_.add(indent(depth) + node_label(index_, node) + " at " + place_label(*waiter) + limit);
      } else {
        ++left_out;
      }
    }
    if (left_out > 0) lines_.add(indent(depth) + "and " + std::to_string(left_out) + " more");
  }

  void add_unowned(const doc::Resource& resource) {
    std::string line = resource_label(resource);
    std::set<doc::Node> givers;
    for (const doc::Edge& edge : document_.findings.edges) {
      if (edge.resource == resource.id) givers.insert(edge.to);
    }
    if (!givers.empty()) {
      line += ", which one of these could give:";
      std::size_t shown = 0;
      for (const doc::Node& giver : givers) {
        if (shown++ == waiters_shown) {
          line += " and " + std::to_string(givers.size() - waiters_shown) + " more";
          break;
        }
        line += (shown == 1 ? " " : ", ") + node_label(index_, giver);
      }
    } else {
      line += resource.owner_state == "exited"         ? ", whose owner is gone"
              : resource.owner_state == "not-recorded" ? ", holder not known"
                                                       : "";
    }
    lines_.add(line + "; waited for by", Tint::bold);
    add_waiters(resource, 1);
  }

  const Document& document_;
  const doc::Process& process_;
  const DocumentIndex& index_;
  TextLines& lines_;
  std::map<std::string, std::vector<const doc::Thread*>> waiters_;
  std::map<doc::Node, std::vector<const doc::Resource*>> owned_;
  std::set<doc::Node> shown_, in_cycle_;
};

}  // namespace

std::string render_graph_text(const Document& document, const Style& style) {
  TextLines lines(style);
  const DocumentIndex index(document);
  add_verdict(document, index, lines);
  for (const doc::Process& process : document.processes) {
    lines.add_blank();
    const auto waiting = std::count_if(process.threads.begin(), process.threads.end(), is_drawn);
    lines.add("Process " + std::to_string(process.pid) + ": " +
                  plural(process.threads.size(), "thread", "threads") + ", of which " +
                  plural(static_cast<std::size_t>(waiting), "waits", "wait") +
                  " for another or for what it would give",
              Tint::bold);
    Tree(document, process, index, lines).add();
  }
  for (const doc::Failure& failure : document.errors) {
    lines.add("Not read: " + failure.message, Tint::yellow);
  }
  return lines.take();
}

}  // namespace pythreads::report
