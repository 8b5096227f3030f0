#include "report/analysis/interruptions.h"

#include <algorithm>

namespace pythreads::report {
namespace {

std::string_view trigger_words(pyframes::PyTrigger trigger) {
  switch (trigger) {
    case pyframes::PyTrigger::finalizer:
      return "the finalizer";
    case pyframes::PyTrigger::gc:
      return "a callback of the garbage collector,";
    case pyframes::PyTrigger::signal_handler:
      return "the signal handler";
    case pyframes::PyTrigger::atexit:
      return "the exit function";
    case pyframes::PyTrigger::trace:
      return "the trace function";
    case pyframes::PyTrigger::import:
    case pyframes::PyTrigger::none:
      break;
  }
  return "the function";
}

}  // namespace

std::optional<Interruption> interruption(const ThreadIndex& index, Node node, const Resource* resource) {
  const JoinedThread& thread = index.joined(node);
  if (thread.python == nullptr || resource == nullptr) return std::nullopt;
  const std::vector<pyframes::PyFrame>& frames = thread.python->frames;
  std::size_t taken_in = frames.size();
  for (const Hold& hold : index.finding(node).holds) {
    if (resource->id == hold.resource && hold.frame) taken_in = *hold.frame;
  }
  std::optional<Interruption> found;
  for (std::size_t i = 0; i < std::min(taken_in, frames.size()); ++i) {
    const pyframes::PyTrigger trigger = frames[i].trigger;
    if (trigger == pyframes::PyTrigger::none || trigger == pyframes::PyTrigger::import) continue;
    found = Interruption{trigger, &frames[i], nullptr};
    for (std::size_t outer = i + 1; outer < frames.size() && found->interrupted == nullptr; ++outer) {
      if (!frames[outer].trampoline) found->interrupted = &frames[outer];
    }
  }
  return found;
}

std::string words(const Interruption& interruption) {
  std::string text = std::string(trigger_words(interruption.trigger)) + ' ' + interruption.began->function +
                     " (" + ThreadIndex::place(*interruption.began) + ") ran in the middle of ";
  if (interruption.interrupted == nullptr) return text + "it";
  return text + interruption.interrupted->function + " (" + ThreadIndex::place(*interruption.interrupted) +
         ')';
}

}  // namespace pythreads::report
