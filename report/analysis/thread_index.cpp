#include "report/analysis/thread_index.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <variant>

#include "report/analysis/waiting_modules.h"

namespace pythreads::report {
namespace {

std::string file_and_line(const std::string& file, int line, const std::string& function) {
  return file.substr(file.rfind('/') + 1) + ':' + (line > 0 ? std::to_string(line) : "?") +
         (function.empty() ? "" : " in " + function);
}

// Of a ModuleLock, what is being imported.
std::string module_of(const Resource& resource) {
  if (resource.kind != "ModuleLock") return "";
  for (const Detail& each : resource.detail) {
    const std::string* module = std::get_if<std::string>(&each.value);
    if (each.name == "module" && module != nullptr) return *module;
  }
  return "";
}

// Of several futures that one call waits for, a set's order or chance decides which is told of.
bool is_one_of_several(const JoinedThread& thread, const Resource& waited) {
  if (thread.python == nullptr) return false;
  const auto& noted = thread.python->frame_objects;
  return std::any_of(noted.begin(), noted.end(), [&](const pyframes::PyFrameObject& each) {
    return each.variable == "pending" && each.object == waited.address;
  });
}

}  // namespace

const pyframes::PyFrame* own_frame(const JoinedThread& thread) {
  if (thread.python == nullptr) return nullptr;
  const pyframes::PyFrame* innermost = nullptr;
  for (const pyframes::PyFrame& frame : thread.python->frames) {
    if (frame.trampoline) continue;
    if (innermost == nullptr) innermost = &frame;
    if (!is_waiting_module(frame.module_name)) return &frame;
  }
  return innermost;
}

ThreadIndex::ThreadIndex(std::span<const JudgedProcess> processes, std::span<const Edge> edges) {
  for (const JudgedProcess& process : processes) {
    for (std::size_t i = 0; i < process.findings->threads.size(); ++i) {
      const ThreadFinding& thread = process.findings->threads[i];
      // Of the states of one OS thread, the one that waits speaks for it.
      const auto [found, added] = places_.try_emplace(thread.node, Place{&process, i});
      if (!added && thread.wait && thread.wait->resource) found->second = {&process, i};
    }
    for (const Resource& resource : process.findings->resources) resources_.emplace(resource.id, &resource);
  }
  for (const Edge& edge : edges) {
    const auto [found, added] = edges_.try_emplace({edge.from, edge.to}, &edge);
    if (!added && edge.certainty > found->second->certainty) found->second = &edge;
  }
}

const ThreadFinding& ThreadIndex::finding(Node node) const {
  const Place& place = places_.at(node);
  return place.process->findings->threads[place.index];
}

const JoinedThread& ThreadIndex::joined(Node node) const {
  const Place& place = places_.at(node);
  return place.process->threads[place.index];
}

const Resource* ThreadIndex::resource(const std::optional<std::string>& id) const {
  const auto found = id ? resources_.find(*id) : resources_.end();
  return found == resources_.end() ? nullptr : found->second;
}

const Edge* ThreadIndex::edge(Node from, Node to) const {
  const auto found = edges_.find({from, to});
  return found == edges_.end() ? nullptr : found->second;
}

std::string ThreadIndex::label(const Resource* resource) const {
  if (resource == nullptr) return "a resource";
  if (resource->kind == "GIL") return "the GIL";
  if (resource->kind == "Thread") {
    const bool known = resource->owner && knows(*resource->owner);
    return "the end of " + (known ? label(*resource->owner) : std::string("a thread"));
  }
  char address[32];
  std::snprintf(address, sizeof address, " 0x%llx", static_cast<unsigned long long>(resource->address.value));
  const std::string object = resource->kind + address;
  const std::string module = module_of(*resource);
  if (!module.empty()) return "the import of " + module + " (" + object + ')';
  return resource->name.empty() ? object : resource->name + " (" + object + ')';
}

std::string ThreadIndex::place(Node node) const {
  const pyframes::PyFrame* frame = own_frame(joined(node));
  return frame == nullptr ? "" : " at " + file_and_line(frame->file, frame->line, frame->function);
}

std::string ThreadIndex::place(const pyframes::PyFrame& frame) {
  return file_and_line(frame.file, frame.line, "");
}

std::string ThreadIndex::taken(Node holder, const Resource* resource) const {
  if (resource == nullptr) return "";
  for (const Hold& hold : finding(holder).holds) {
    if (hold.resource != resource->id || hold.acquired.line == 0) continue;
    return ", which took it at " +
           file_and_line(hold.acquired.file, hold.acquired.line, hold.acquired.function);
  }
  return "";
}

CauseLink ThreadIndex::link(Node node) const {
  CauseLink link;
  const ThreadFinding& thread = finding(node);
  if (thread.wait) {
    link.wait_kind = thread.wait->kind;
    const Resource* waited = resource(thread.wait->resource);
    if (waited != nullptr && !is_one_of_several(joined(node), *waited)) {
      link.lock_name = waited->name.empty() ? module_of(*waited) : waited->name;
    }
  }
  if (const pyframes::PyFrame* frame = own_frame(joined(node))) {
    link.module = frame->module_name;
    link.function = frame->qualified_name.empty() ? frame->function : frame->qualified_name;
  }
  return link;
}

}  // namespace pythreads::report
