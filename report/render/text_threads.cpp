// The threads: their header lines, frames, and what they wait for and hold.
#include <algorithm>
#include <cstdio>
#include <set>
#include <unordered_map>

#include "report/analysis/mixed_stack.h"
#include "report/analysis/shown_names.h"
#include "report/render/line_layout.h"
#include "report/render/text_lines.h"
#include "report/render/words.h"

namespace pythreads::report {
namespace {

namespace doc = document;

constexpr std::size_t group_from = 50;     // threads of a process
constexpr std::size_t frames_shown = 100;  // of a stack; half of them from each end
constexpr std::size_t names_shown = 10;    // of a group

class ThreadText {
 public:
  ThreadText(const doc::Process& process, const doc::Thread& thread, const DocumentIndex& index,
             const Style& style, bool in_cause = false)
      : process_(process), thread_(thread), index_(index), in_cause_(in_cause), lines_(style) {}

  Tint tint() const { return in_cause_ ? Tint::red : tint_of(thread_.status); }

  // Everything of the header that equal threads share, and the lines below it.
  std::string traits() const {
    std::string text;
    if (thread_.kind == "native") text += ", native";
    if (thread_.main) text += ", main";
    if (thread_.daemon.value_or(false)) text += ", daemon";
    if (process_.interpreters.size() > 1 && thread_.interpreter) {
      text += ", interpreter " + std::to_string(*thread_.interpreter);
    }
    if (thread_.suspended.value_or(false)) text += ", suspended";
    text += ", " + std::string(word(thread_.status));
    if (thread_.wait && thread_.wait->kind != word(thread_.status)) text += ": " + thread_.wait->kind;
    if (thread_.unmoved_looks.value_or(0) > 1) {
      text += ", unmoved in " + std::to_string(*thread_.unmoved_looks) + " looks";
    }
    if (thread_.gil == "holds") text += ", holds the GIL";
    if (thread_.state == "disk-sleep" || thread_.state == "stopped" || thread_.state == "zombie" ||
        thread_.state == "traced") {
      text += ", " + *thread_.state;
    }
    if (thread_.tracing.value_or(false)) text += ", traced by Python";
    if (thread_.profiling.value_or(false)) text += ", profiled";
    if (thread_.trigger) {
      const bool vowel = thread_.trigger->find_first_of("aeiou") == 0;
      text += std::string(vowel ? ", in an " : ", in a ") + *thread_.trigger;
    }
    return text;
  }

  // Threads of equal text have equal likenesses, and few others have.
  std::size_t likeness() const {
    std::size_t mixed = 0;
    const auto mix = [&mixed](auto number) {
      mixed = (mixed ^ static_cast<std::size_t>(number)) * 0x9E3779B97F4A7C15U;
      mixed ^= mixed >> 32U;
    };
    std::size_t shown = 0;
    for (const doc::Frame& frame : thread_.frames) {
      if (!is_shown(frame)) continue;
      if (++shown > frames_shown / 2) break;
      mix(frame.line.value_or(0));
      if (frame.kind == "native" && frame.address) mix(frame.address->value);
    }
    return mixed;
  }

  std::string body() {
    add_thread_facts();
    add_frames();
    return lines_.take();
  }

  // "Thread 0x00007f… [name] tid 12", ", 3 inside" where the thread has another number in its pid namespace
  static std::string identity(const doc::Thread& thread) {
    std::string text = "Thread";
    if (thread.ident) {
      char ident[32];
      std::snprintf(ident, sizeof ident, " 0x%016llx", static_cast<unsigned long long>(thread.ident->value));
      text += ident;
    }
    return text + short_name(thread);
  }

  static std::string short_name(const doc::Thread& thread) {
    const std::optional<std::string>& name = thread.name ? thread.name : thread.os_name;
    return (name ? " [" + shortened(*name) + ']' : "") +
           (thread.tid ? " tid " + std::to_string(*thread.tid) : "") +
           (thread.tid && thread.namespace_tid && thread.tid != thread.namespace_tid
                ? ", " + std::to_string(*thread.namespace_tid) + " inside"
                : "");
  }

 private:
  static std::string doubt(Certainty certainty) {
    return certainty == Certainty::certain ? "" : " [" + std::string(word(certainty)) + ']';
  }

  void explain(const doc::Evidence& evidence) {
    if (lines_.style().explain)
      lines_.add("      because " + evidence.text + " (" + evidence.rule + ')', Tint::dim);
  }

  void add_thread_facts() {
    const auto collects = [&](const doc::Interpreter& each) {
      return each.gc && each.gc->collecting && thread_.tid && each.gc->thread == thread_.tid;
    };
    if (std::any_of(process_.interpreters.begin(), process_.interpreters.end(), collects)) {
      lines_.add("  Garbage-collecting");  // faulthandler's own words
    }
    if (thread_.exception) {
      std::string line = "    - handles " + thread_.exception->type;
      if (thread_.exception->message && !thread_.exception->message->empty()) {
        line += ": " + *thread_.exception->message;
      }
      if (const auto& at = thread_.exception->raised_at) {
        line += ", raised at " + at->file + (at->line ? ":" + std::to_string(*at->line) : "");
      }
      lines_.add(line);
    }
    if (thread_.pending_async_exception) {
      lines_.add("    - " + *thread_.pending_async_exception + " is about to be raised in it");
    }
  }

  bool is_shown(const doc::Frame& frame) const {
    if (frame.kind == "native") return lines_.style().native;
    if (frame.kind == "gap" && !lines_.style().native) {
      return !frame.reason.value_or("").starts_with(native_gap_prefix);
    }
    return true;
  }

  void add_frames() {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < thread_.frames.size(); ++i) {
      if (is_shown(thread_.frames[i])) shown.push_back(i);
    }
    const auto innermost = std::find_if(shown.begin(), shown.end(), [&](std::size_t index) {
      return thread_.frames[index].kind == "python";
    });
    const bool has_python = innermost != shown.end();
    if (!has_python) {
      if (thread_.kind == "python" && shown.empty()) lines_.add("  <no Python frame>");
      add_wait();
    }
    add_holds_without_frame();

    const bool cut = shown.size() > frames_shown && !lines_.style().full;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const bool left_out = cut && i >= frames_shown / 2 && i < shown.size() - frames_shown / 2;
      if (left_out && i == frames_shown / 2) {
        lines_.add("  ... " + plural(shown.size() - frames_shown, "frame", "frames") +
                   " left out, --full shows them");
      }
      if (!left_out) add_frame(thread_.frames[shown[i]]);
      if (has_python && shown[i] == *innermost) add_wait();
      add_holds(shown[i]);
    }
  }

  void add_frame(const doc::Frame& frame) {
    if (frame.kind == "gap") {
      lines_.add("  <" + std::string(frame.reason.value_or("frames are missing here")) + '>', Tint::dim);
    } else if (frame.kind == "native") {
      add_native(frame);
    } else {
      std::string rest = "\", line ";
      rest += frame.line ? std::to_string(*frame.line) : "???";
      rest += " in ";
      rest += frame.function.value_or("???");
      std::string line = "  File \"";
      add_path(line, frame.file.value_or("???"), rest);
      lines_.add_whole(line += rest);
      add_locals(frame);
    }
  }

  // As CPython 3.14 prints its C stack (Python/traceback.c, _Py_DumpStack).
  void add_native(const doc::Frame& frame) {
    std::string line = "\", at ";
    line += frame.function.value_or("");
    if (frame.offset) line += '+' + hex(frame.offset->value);
    if (frame.address) line += " [" + hex(frame.address->value) + ']';
    if (frame.file) {
      line += ' ';
      line += *frame.file;
      if (frame.line) line += ':' + std::to_string(*frame.line);
    }
    if (frame.inlined.value_or(false)) line += " (inlined)";
    if (frame.trust == "scanned") line += " (scanned)";
    std::string whole = "  Binary file \"";
    add_path(whole, frame.module.value_or("<unknown>"), line);
    lines_.add_whole(whole += line, Tint::dim);
  }

  // Of a path that doesn't fit the terminal between what stands before and after it, the end.
  void add_path(std::string& line, std::string_view path, std::string_view rest) const {
    const Style& style = lines_.style();
    const std::size_t taken = line.size() + terminal_columns(rest);
    if (style.width == 0 || style.full) {
      line += path;
    } else {
      line += shortened_path(path, style.width > taken ? style.width - taken : 0);
    }
  }

  void add_locals(const doc::Frame& frame) {
    if (!lines_.style().locals) return;
    if (frame.locals) {
      for (const doc::Local& local : *frame.locals) lines_.add("    " + local.name + " = " + local.value);
    }
    if (frame.reason) lines_.add("    <locals: " + *frame.reason + '>', Tint::dim);
  }

  void add_wait() {
    if (!thread_.wait) return;
    const doc::Wait& wait = *thread_.wait;
    std::string line = wait.kind == "idle" ? "    - is" : "    - waits";
    const doc::Resource* resource = index_.resource(wait.resource);
    if (resource != nullptr && wait.kind == "idle") {
      line += " idle: nothing lies in " + resource_label(*resource);
    } else if (resource != nullptr) {
      line += std::string(" for ") + (resource->kind == "Thread" ? "the end of " : "") +
              resource_text(*resource, wait);
    } else if (wait.target) {
      line += ": " + wait.kind + " of " + node_label(index_, *wait.target);
    } else {
      line += (wait.kind == "idle" ? " " : ": ") + wait.kind;
    }
    if (wait.descriptor) {
      line += " on descriptor " + std::to_string(wait.descriptor->fd);
      if (wait.descriptor->what) line += ", " + *wait.descriptor->what;
      if (wait.descriptor->peer) line += ", " + *wait.descriptor->peer;
    }
    if (wait.timeout.value_or(false) && wait.kind != "sleep") line += ", " + limit_words(wait);
    lines_.add(line + doubt(wait.certainty), tint());
    explain(wait.evidence);
    if (resource != nullptr && resource->owner) explain(resource->owner->evidence);
  }

  // What is waited for, and who could give it, as the kind has it.
  std::string resource_text(const doc::Resource& resource, const doc::Wait& wait) const {
    if (resource.kind == "Thread") {
      const std::string who = wait.target      ? node_label(index_, *wait.target)
                              : resource.name  ? *resource.name
                              : resource.owner ? node_label(index_, resource.owner->node)
                                               : "a thread that is not known";
      return who;
    }
    if (resource.kind == "stop-event")
      return "the world to stop" +
             (resource.owner ? ", but " + node_label(index_, resource.owner->node) + " stays attached" : "");
    if (resource.kind == "stop-the-world")
      return "the world to go on" +
             (resource.owner ? ", which " + node_label(index_, resource.owner->node) + " stopped" : "");
    std::string text = resource_label(resource);
    if (resource.kind == "RLock" && resource.count && *resource.count > 1)
      text += " (taken " + std::to_string(*resource.count) + " times)";
    if (resource.kind == "Future") return text + future_text(resource);
    if (resource.kind == "Semaphore" || resource.kind == "BoundedSemaphore")
      return text + permits_text(resource);
    if (resource.kind == "Barrier" && resource.count && resource.capacity) {
      return text + ", where " + std::to_string(*resource.count) + " of " +
             std::to_string(*resource.capacity) + " have come";
    }
    if (resource.kind == "Queue" && wait.kind == "queue-put" && resource.capacity)
      return text + ", which is full with " + std::to_string(*resource.capacity);
    if (has_no_owner(resource.kind)) return text;
    return text + owner_text(resource);
  }

  static bool has_no_owner(std::string_view kind) {
    return kind == "Condition" || kind == "Event" || kind == "Barrier" || kind == "Queue" ||
           kind == "SimpleQueue" || kind == "pthread-cond" || kind == "event-loop" || kind == "Executor";
  }

  std::string future_text(const doc::Resource& resource) const {
    if (resource.owner) return ", which " + node_label(index_, resource.owner->node) + " runs";
    if (resource.detail) {
      for (const doc::Detail& each : *resource.detail) {
        const auto* state = std::get_if<std::string>(&each.value);
        if (each.name == "state" && state != nullptr) return ", which is " + *state;
      }
    }
    return "";
  }

  std::string permits_text(const doc::Resource& resource) const {
    if (resource.candidates.empty()) return "";
    return ", whose permits are with " + names_of(resource.candidates, ", ");
  }

  std::string names_of(const std::vector<doc::Candidate>& candidates, std::string_view between) const {
    std::string text;
    for (std::size_t i = 0; i < candidates.size() && i < names_shown; ++i)
      text += (i == 0 ? "" : std::string(between)) + node_label(index_, candidates[i].node);
    return text;
  }

  std::string owner_text(const doc::Resource& resource) const {
    if (resource.owner) {
      const bool itself = thread_.tid && resource.owner->node == doc::Node{process_.pid, thread_.tid, {}};
      return ", held by " + (itself ? "itself" : node_label(index_, resource.owner->node)) +
             doubt(resource.owner->certainty);
    }
    if (!resource.candidates.empty()) return ", perhaps held by " + names_of(resource.candidates, " or ");
    if (resource.owner_state == "exited") return ", whose owner is gone";
    if (resource.owner_state == "before-fork")
      return ", whose owner stayed behind in the process that forked";
    if (resource.owner_state == "other-process") return ", held by another process";
    if (resource.owner_state == "none") return ", which nobody holds";
    return ", holder not known";
  }

  void add_hold(const doc::Hold& hold) {
    const doc::Resource* resource = index_.resource(hold.resource);
    std::string line = "    - holds " + (resource != nullptr ? resource_label(*resource) : hold.resource);
    if (hold.acquired_at && hold.acquired_at->line) {
      const doc::Place& at = *hold.acquired_at;
      const doc::Frame* frame = hold.frame && static_cast<std::size_t>(*hold.frame) < thread_.frames.size()
                                    ? &thread_.frames[static_cast<std::size_t>(*hold.frame)]
                                    : nullptr;
      const bool here = frame != nullptr && frame->file == at.file &&
                        frame->function.value_or("") == at.function.value_or("");
      line += ", taken at " +
              (here ? "line " + std::to_string(*at.line) : place_label(at.file, at.line, at.function));
    }
    lines_.add(line + doubt(hold.certainty));
    explain(hold.evidence);
  }

  void add_holds_without_frame() {
    for (const doc::Hold& hold : thread_.holds) {
      if (!hold.frame) add_hold(hold);
    }
  }

  void add_holds(std::size_t frame) {
    for (const doc::Hold& hold : thread_.holds) {
      if (hold.frame == static_cast<doc::Number>(frame)) add_hold(hold);
    }
  }

  const doc::Process& process_;
  const doc::Thread& thread_;
  const DocumentIndex& index_;
  bool in_cause_;  // one of the verdict's
  TextLines lines_;
};

struct Group {
  std::vector<const doc::Thread*> threads;
  std::string traits, body;  // of the first; the body is empty where no other thread can be equal
  Tint tint = Tint::none;
};

// Those of the causes first, in their order, then those stuck behind, then the others.
std::vector<const doc::Thread*> ordered_threads(const Document& document, const doc::Process& process,
                                                std::size_t& in_causes) {
  std::map<doc::Node, std::vector<const doc::Thread*>> by_node;
  for (const doc::Thread& thread : process.threads) {
    by_node[{process.pid, thread.tid, {}}].push_back(&thread);
  }
  std::vector<const doc::Thread*> ordered;
  std::set<const doc::Thread*> taken;
  const auto take = [&](const std::vector<doc::Node>& nodes) {
    for (const doc::Node& node : nodes) {
      const auto found = by_node.find(node);
      if (found == by_node.end()) continue;
      for (const doc::Thread* thread : found->second) {
        if (taken.insert(thread).second) ordered.push_back(thread);
      }
    }
  };
  for (const doc::Cause& cause : document.findings.causes) take(cause.nodes);
  in_causes = ordered.size();
  for (const doc::Cause& cause : document.findings.causes) take(cause.behind);
  for (const doc::Thread& thread : process.threads) {
    if (taken.insert(&thread).second) ordered.push_back(&thread);
  }
  return ordered;
}

void add_group(const Group& group, const std::string& body, TextLines& lines) {
  std::string header = ThreadText::identity(*group.threads.front()) + group.traits;
  if (group.threads.size() > 1) {
    header += ", and " + std::to_string(group.threads.size() - 1) + " more with the same stack";
  }
  lines.add_blank();
  lines.add_whole(header + " (most recent call first):", group.tint);
  lines.add_lines(body);
  if (group.threads.size() == 1) return;
  std::string names = "    - same stack:";
  for (std::size_t i = 1; i < group.threads.size() && i <= names_shown; ++i) {
    names += (i == 1 ? "" : ",") + ThreadText::short_name(*group.threads[i]);
  }
  if (group.threads.size() > names_shown + 1) {
    names += " and " + std::to_string(group.threads.size() - 1 - names_shown) + " more";
  }
  lines.add(names);
}

// Native threads whose stacks are not shown: one line for all of them.
void add_native_threads(const std::vector<const doc::Thread*>& threads, TextLines& lines) {
  if (threads.empty()) return;
  std::string line = "Native threads without Python (" + std::to_string(threads.size()) + "):";
  const std::size_t shown = lines.style().full ? threads.size() : std::min(threads.size(), names_shown);
  for (std::size_t i = 0; i < shown; ++i) {
    line += (i == 0 ? "" : ",") + ThreadText::short_name(*threads[i]) + ' ' +
            std::string(word(threads[i]->status));
    if (threads[i]->wait) line += ": " + threads[i]->wait->kind;
  }
  if (shown < threads.size()) line += " and " + std::to_string(threads.size() - shown) + " more";
  lines.add_blank();
  lines.add(line);
}

}  // namespace

void add_threads(const Document& document, const doc::Process& process, const DocumentIndex& index,
                 TextLines& lines) {
  const Style& style = lines.style();
  std::size_t in_causes = 0;
  const std::vector<const doc::Thread*> threads = ordered_threads(document, process, in_causes);
  const bool grouping = !style.full && (style.group || threads.size() >= group_from);

  const bool is_wrong = document.findings.verdict == Verdict::deadlock ||
                        document.findings.verdict == Verdict::possible_deadlock ||
                        document.findings.verdict == Verdict::stalled;
  const auto text_of = [&](const doc::Thread& thread, bool in_cause = false) {
    return ThreadText(process, thread, index, style, in_cause);
  };
  // How many of each likeness: where each of a thousand stacks is its own, no text is kept to be compared.
  std::vector<std::size_t> likenesses(threads.size());
  std::unordered_map<std::size_t, std::size_t> alike;
  for (std::size_t i = in_causes; grouping && i < threads.size(); ++i) {
    likenesses[i] = text_of(*threads[i]).likeness();
    ++alike[likenesses[i]];
  }
  std::vector<Group> groups;
  std::unordered_multimap<std::size_t, std::size_t> known;  // by likeness
  std::vector<const doc::Thread*> native;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    const doc::Thread& thread = *threads[i];
    if (style.only_blocked && thread.status != Status::blocked) continue;
    if (thread.kind == "native" && (!style.native || thread.frames.empty()) && i >= in_causes) {
      native.push_back(&thread);
      continue;
    }
    const bool in_cause = is_wrong && i < in_causes;
    Group group{{&thread}, text_of(thread).traits(), {}, text_of(thread, in_cause).tint()};
    if (grouping && i >= in_causes && alike[likenesses[i]] > 1) {
      group.body = text_of(thread).body();
      const auto [begin, end] = known.equal_range(likenesses[i]);
      const auto found = std::find_if(begin, end, [&](const auto& each) {
        return groups[each.second].traits == group.traits && groups[each.second].body == group.body;
      });
      if (found != end) {
        groups[found->second].threads.push_back(&thread);
        continue;
      }
      known.emplace(likenesses[i], groups.size());
    }
    groups.push_back(std::move(group));
  }
  for (const Group& group : groups) {
    const bool in_cause = group.tint == Tint::red;
    add_group(group, group.body.empty() ? text_of(*group.threads.front(), in_cause).body() : group.body,
              lines);
  }
  add_native_threads(native, lines);
}

}  // namespace pythreads::report
