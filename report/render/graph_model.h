// What both drawings draw: the threads that wait for one another or for something that nobody is known to
// have, and the resources between them.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "report/render/text_lines.h"

namespace pythreads::report {

struct GraphThread {
  const document::Thread* thread = nullptr;
  document::Node node;
  bool in_cause = false;
};

struct GraphResource {
  const document::Resource* resource = nullptr;
  bool in_cause = false;
};

struct GraphEdge {
  bool wait = true;  // a thread waits for a resource; else a resource is held by a thread
  document::Node thread;
  std::string resource;  // id
  std::string label;     // "bank.py:21 in transfer"
  Certainty certainty = Certainty::certain;
  bool any_of = false;  // one of several holders would do
  bool in_cause = false;
};

struct GraphModel {
  std::vector<GraphThread> threads;
  std::vector<GraphResource> resources;
  std::vector<GraphEdge> edges;
  std::size_t left_out = 0;  // threads that wait for the same as others do
};

// A lock with a thousand waiters shows its first ones and counts the rest.
GraphModel model_of(const Document& document, const document::Process& process, const DocumentIndex& index);

// The waits of a process that are drawn: for a resource of it, and not for work.
bool is_drawn(const document::Thread& thread);

}  // namespace pythreads::report
