#include "report/render/graph_model.h"

#include <algorithm>
#include <map>

namespace pythreads::report {
namespace {

constexpr std::size_t waiters_drawn = 8;  // of one resource, besides those in a cause

}  // namespace

bool is_drawn(const document::Thread& thread) {
  return thread.tid && thread.wait && thread.wait->resource && thread.status != Status::idle;
}

GraphModel model_of(const Document& document, const document::Process& process, const DocumentIndex& index) {
  GraphModel model;
  std::set<document::Node> in_cause, drawn;
  std::set<std::string> cause_resources;
  for (const document::Cause& cause : document.findings.causes) {
    in_cause.insert(cause.nodes.begin(), cause.nodes.end());
    cause_resources.insert(cause.resources.begin(), cause.resources.end());
  }
  std::map<std::string, std::size_t> waiters;
  std::set<std::string> resources;
  const auto draw = [&](const document::Node& node, const document::Thread& thread) {
    if (drawn.insert(node).second) model.threads.push_back({&thread, node, in_cause.contains(node)});
  };
  const auto draw_wait = [&](const document::Thread& thread) {
    const document::Node node{process.pid, thread.tid, {}};
    if (drawn.contains(node)) return;
    const std::string& id = *thread.wait->resource;
    const bool cause = in_cause.contains(node);
    if (!cause && ++waiters[id] > waiters_drawn) {
      ++model.left_out;
      return;
    }
    draw(node, thread);
    resources.insert(id);
    model.edges.push_back({.wait = true,
                           .thread = node,
                           .resource = id,
                           .label = place_label(thread),
                           .certainty = thread.wait->certainty,
                           .in_cause = cause && cause_resources.contains(id)});
  };
  for (const bool causes_first : {true, false}) {
    for (const document::Thread& thread : process.threads) {
      if (!is_drawn(thread)) continue;
      if (in_cause.contains({process.pid, thread.tid, {}}) == causes_first) draw_wait(thread);
    }
  }
  for (const document::Resource& resource : process.resources) {
    if (!resources.contains(resource.id)) continue;
    model.resources.push_back({&resource, cause_resources.contains(resource.id)});
    // Who has it, or who of several could give it: each edge of the findings ends in such a thread.
    std::set<document::Node> givers;
    if (resource.owner) givers.insert(resource.owner->node);
    for (const document::Edge& edge : document.findings.edges) {
      if (edge.resource == resource.id) givers.insert(edge.to);
    }
    for (const document::Node& giver : givers) {
      const document::Thread* thread = index.thread(giver);
      if (thread == nullptr) continue;
      draw(giver, *thread);
      GraphEdge edge{.wait = false, .thread = giver, .resource = resource.id, .label = ""};
      edge.any_of = !resource.owner;
      edge.certainty = resource.owner ? resource.owner->certainty : Certainty::certain;
      for (const document::Edge& each : document.findings.edges) {
        if (!resource.owner && each.resource == resource.id && each.to == giver)
          edge.certainty = each.certainty;
      }
      for (const document::Hold& hold : thread->holds) {
        if (hold.resource == resource.id && hold.acquired_at)
          edge.label =
              place_label(hold.acquired_at->file, hold.acquired_at->line, hold.acquired_at->function);
      }
      edge.in_cause = in_cause.contains(giver) && cause_resources.contains(resource.id);
      model.edges.push_back(std::move(edge));
    }
  }
  return model;
}

}  // namespace pythreads::report
