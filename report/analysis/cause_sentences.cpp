#include "report/analysis/cause_sentences.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "report/analysis/interruptions.h"
#include "report/analysis/link_roles.h"

namespace pythreads::report {
namespace {

constexpr std::size_t threads_told = 6;  // a longer cycle is cut in its sentence

std::string plural(std::size_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + ' ' + std::string(count == 1 ? one : many);
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// "0.4 s", "12 s", "3 min 20 s"
std::string duration(double milliseconds) {
  const double seconds = std::max(milliseconds, 0.0) / 1000;
  char text[32];
  if (seconds < 10) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 120) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else {
    const auto whole = static_cast<long long>(std::min(seconds, 1e15));
    std::snprintf(text, sizeof text, "%lld min %lld s", whole / 60, whole % 60);
  }
  return text;
}

// How it ends, if it does.
std::string ending(const Grade& grade) {
  if (grade.timed && grade.ends_in_ms) return "; a time limit ends it in " + duration(*grade.ends_in_ms);
  if (grade.timed) return "; a time limit may end it";
  switch (grade.certainty) {
    case Certainty::certain:
    case Certainty::inferred:
      return "; nothing will end it";
    case Certainty::recorded:
      return "; nothing will end it if the owner field is right, which nothing else bears out";
    case Certainty::likely:
    case Certainty::possible:
      break;
  }
  return "; nothing will end it if that is so, but its weakest link is only likely";
}

std::string relation(const Edge& edge, const ThreadIndex& index) {
  switch (role_of(edge, index)) {
    case LinkRole::join:
      return "";
    case LinkRole::gil:
    case LinkRole::lock:
    case LinkRole::native:
      break;
    case LinkRole::import:
      return "which is done by ";
    case LinkRole::runner:
      return "which is being worked on by ";
    case LinkRole::pool:
      return "which waits in its pool's queue for a worker like ";
    case LinkRole::loop:
      return "which has to be completed by the event loop of ";
    case LinkRole::permit:
      return "a permit of which is held by ";
    case LinkRole::slot:
      return "which is full and would be emptied by ";
    case LinkRole::notifier:
      return "and would be woken by ";
  }
  switch (edge.certainty) {
    case Certainty::recorded:
      return "by its owner field held by ";
    case Certainty::likely:
    case Certainty::possible:
      return "likely held by ";
    case Certainty::inferred:
    case Certainty::certain:
      break;
  }
  return "held by ";
}

// " waits at bank.py:21 in transfer for LOCK (Lock 0x…)"
std::string waits_for(const ThreadIndex& index, Node node, const Resource* resource) {
  return " waits" + index.place(node) + " for " + index.label(resource);
}

std::string interrupted_words(const ThreadIndex& index, Node node, const Resource* resource) {
  const std::optional<Interruption> found = interruption(index, node, resource);
  return found ? " (inside " + words(*found) + ")" : "";
}

// ", taken at bank.py:20 in transfer"; empty if that is not known.
std::string taken_at(const ThreadIndex& index, Node holder, const Resource* resource) {
  constexpr std::string_view which_took_it = ", which took it";
  const std::string taken = index.taken(holder, resource);
  return taken.empty() ? "" : ", taken" + taken.substr(which_took_it.size());
}

// One round: who waits where for what, who has that and since where, and waits where for what …
std::string round_of(const ThreadIndex& index, const std::vector<Node>& cycle) {
  std::string text = index.label(cycle.front());
  const std::size_t shown = std::min(cycle.size(), threads_told);
  const Resource* held = nullptr;  // for which the thread before waits
  for (std::size_t i = 0; i < shown; ++i) {
    const Node node = cycle[i], next = cycle[(i + 1) % cycle.size()];
    const Edge& edge = *index.edge(node, next);
    const Resource* resource = index.resource(edge.resource);
    if (i > 0) {
      const std::string taken = index.taken(node, held);
      text += taken.empty() ? ", which" : taken + " and";
    }
    text += waits_for(index, node, resource);
    if (i > 0) text += interrupted_words(index, node, held);
    const std::string related = relation(edge, index);
    if (!related.empty() || resource == nullptr || !resource->owner)
      text += ", " + related + index.label(next);
    held = resource;
  }
  if (shown < cycle.size())
    return text + " … and so on through " + std::to_string(cycle.size()) + " threads, back to the first";
  return text + index.taken(cycle.front(), held) + interrupted_words(index, cycle.front(), held);
}

// "both workers", "all 3 workers"
std::string all_of(std::size_t count, std::string_view what) {
  return (count == 2 ? std::string("both") : "all " + std::to_string(count)) + ' ' + std::string(what);
}

std::string silence_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node first = cause.nodes.front();
  return "at this moment " + index.label(first) + waits_for(index, first, cause.resource) +
         ", and no thread is left that could end that: " +
         (cause.waiters == 1 ? "it is the only Python thread"
                             : all_of(cause.waiters, "Python threads wait for each other or for work") +
                                   ", without a time limit");
}

}  // namespace

std::string cycle_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  if (cause.cycle.empty()) return silence_sentence(index, cause);
  if (cause.cycle.size() == 1) return self_sentence(index, cause);
  std::string text = round_of(index, cause.cycle);
  if (cause.nodes.size() > cause.cycle.size()) {
    text += "; " + plural(cause.nodes.size() - cause.cycle.size(), "more thread", "more threads") +
            " that could end it " + (cause.nodes.size() - cause.cycle.size() == 1 ? "is" : "are") +
            " caught in the same way";
  }
  return text + ending(cause.grade);
}

std::string self_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node node = cause.cycle.front();
  const Edge& edge = *index.edge(node, node);
  const Resource* resource = index.resource(edge.resource);
  const LinkRole role = role_of(edge, index);
  std::string text = index.label(node) + " waits" + index.place(node) + " for ";
  if (role == LinkRole::join) return text + "its own end" + ending(cause.grade);
  text += index.label(resource);
  switch (role) {
    case LinkRole::loop:
      text += ", which only its own event loop could complete: while it waits, the loop stands";
      break;
    case LinkRole::runner:
      text += ", which it works on itself";
      break;
    case LinkRole::permit:
      text += cause.nodes.size() == 1 ? ", of which it holds every permit itself"
                                      : ", the permits of which are held by " +
                                            std::to_string(cause.nodes.size()) + " threads that wait for one";
      break;
    case LinkRole::slot:
      text += ", which is full and which only it would empty";
      break;
    default:
      text +=
          edge.certainty < Certainty::inferred ? ", which it likely holds itself" : ", which it holds itself";
  }
  text += taken_at(index, node, resource);
  if (const std::optional<Interruption> found = interruption(index, node, resource)) {
    text += ": " + words(*found);
  }
  return text + ending(cause.grade);
}

std::string pool_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const std::size_t count = cause.nodes.size();
  std::string text = count == 1 ? "the pool's only worker waits" : all_of(count, "workers of the pool wait");
  text += " for work that lies in the pool's own queue, where nobody is left to take it: ";
  const Node first = cause.nodes.front();
  const std::optional<Wait>& wait = index.finding(first).wait;
  text += index.label(first) + waits_for(index, first, wait ? index.resource(wait->resource) : nullptr);
  if (count > 1) text += ", and so do the others";
  return text + ending(cause.grade);
}

std::string gone_owner_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node first = cause.nodes.front();
  std::string text = index.label(first) + waits_for(index, first, cause.resource);
  if (cause.nodes.size() > 1)
    text += ", and so " + plural(cause.nodes.size() - 1, "other thread does", "other threads do");
  const Resource& resource = *cause.resource;
  if (cause.kind == "owner-exited") {
    text += "; its owner has ended and is no thread of this process any more";
  } else if (resource.owner_state != OwnerState::before_fork) {
    text +=
        "; it is locked, no thread of this process is seen to hold it, and the process is a fork: a fork "
        "copies locks, but not the threads that hold them";
  } else {
    text += "; its owner stayed behind in the process that this one was forked from";
  }
  return text + ending(cause.grade);
}

namespace {

// The innermost named function, and who called it from outside of its library: " in read of libc.so.6, called
// by frobnicate of libfoo.so".
std::string native_call(const JoinedThread& thread) {
  if (thread.os == nullptr || !thread.os->native_walked) return "";
  const unwinder::NativeFrame* first = nullptr;
  const auto named = [](const unwinder::NativeFrame& frame) {
    const std::string module = file_name(frame.module);
    if (frame.function.empty()) return module;
    return module.empty() ? frame.function.str() : frame.function + " of " + module;
  };
  for (const unwinder::NativeFrame& frame : thread.os->native.frames) {
    if (first == nullptr) {
      if (!frame.function.empty()) first = &frame;
      continue;
    }
    if (frame.module == first->module || frame.module.empty()) continue;
    return " in " + named(*first) + ", called by " + named(frame);
  }
  return first == nullptr ? "" : " in " + named(*first);
}

struct WaitWords {
  std::string_view kind, words;
};
constexpr std::array wait_words{WaitWords{"read", "reads"},
                                WaitWords{"write", "writes"},
                                WaitWords{"connect", "connects"},
                                WaitWords{"accept", "accepts a connection"},
                                WaitWords{"poll", "waits for descriptors"},
                                WaitWords{"sleep", "sleeps"},
                                WaitWords{"child", "waits for a child process"},
                                WaitWords{"file-lock", "waits for a file's lock"},
                                WaitWords{"open", "opens a file that does not answer"},
                                WaitWords{"signal", "waits for a signal"},
                                WaitWords{"loop", "waits in its event loop"},
                                WaitWords{"idle", "waits for work"},
                                WaitWords{"native-condition", "waits for a native condition"},
                                WaitWords{"futex", "waits in futex"}};

// "reads at db.py:7 in query (in read of libc.so.6, called by …)"
std::string doing(const ThreadIndex& index, Node node, bool native) {
  const ThreadFinding& thread = index.finding(node);
  std::string text = "stands";
  if (thread.wait) {
    const auto row = std::find_if(wait_words.begin(), wait_words.end(),
                                  [&](const WaitWords& each) { return each.kind == thread.wait->kind; });
    text = row != wait_words.end() ? std::string(row->words) : "waits";
    const Resource* resource = index.resource(thread.wait->resource);
    if (row == wait_words.end() && resource != nullptr) text += " for " + index.label(resource);
  }
  text += index.place(node);
  const std::string call = native ? native_call(index.joined(node)) : "";
  if (!call.empty()) text += " (" + call.substr(1) + ")";
  if (thread.wait && thread.wait->ends_in_ms) text += ", for " + duration(*thread.wait->ends_in_ms) + " more";
  return text;
}

}  // namespace

std::string holder_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node holder = cause.nodes.front();
  const bool gil = cause.resource->kind == "GIL";
  return "at this moment " + index.label(holder) + " holds " + index.label(cause.resource) +
         (gil ? " inside a native call" : taken_at(index, holder, cause.resource)) + " and " +
         doing(index, holder, gil) + ", while " +
         plural(cause.waiters, gil ? "thread waits" : "thread queues",
                gil ? "threads wait" : "threads queue") +
         " for it";
}

std::string world_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node holder = cause.nodes.front();
  std::string text = "at this moment " + index.label(holder) +
                     " stays attached to Python inside a native call and " + doing(index, holder, true);
  if (cause.resource->waiters.empty()) return text;
  return text + ", while " + index.label(cause.resource->waiters.front()) + " waits for it to stop the world";
}

std::string loop_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node loop = cause.nodes.front();
  return "at this moment the event loop of " + index.label(loop) + " stands, because its thread " +
         doing(index, loop, true) + ", while " + plural(cause.waiters, "thread waits", "threads wait") +
         " for it";
}

std::string exit_sentence(const ThreadIndex& index, const CauseDraft& cause) {
  const Node waits = cause.nodes.front(), other = cause.nodes.back();
  return "the process is at its end, and " + index.label(waits) + " waits for the end of " +
         index.label(other) + ", which is no daemon and " + doing(index, other, false);
}

}  // namespace pythreads::report
