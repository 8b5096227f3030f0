#include "report/analysis/mixed_stack.h"

#include <algorithm>
#include <string_view>

namespace pythreads::report {
namespace {

using pyframes::PyFrame;
using unwinder::NativeFrame;

// [begin, end) of a thread's native or Python frames.
struct Span {
  std::size_t begin = 0, end = 0;
};

// "_PyEval_EvalFrameDefault.cold.1234", "….lto_priv.0", "….part.0": what the compiler made of one function.
std::string_view source_name(std::string_view symbol) {
  return symbol.substr(0, symbol.find('.', 1));
}

// A frame of the loop itself by its name.
bool is_named_loop(const NativeFrame& frame) {
  return source_name(frame.function) == "_PyEval_EvalFrameDefault";
}

// Which native frames are of the loop itself, one for each activation: by their name, and where that is
// missing (the loop's cold part is local, so a stripped build does not name it) by what the loop keeps on
// the stack. `library` is the file that CPython is in.
std::vector<bool> find_loops(const std::vector<NativeFrame>& native, const std::vector<PyFrame>& python,
                             std::string_view library) {
  std::vector<bool> loops(native.size());
  for (std::size_t i = 0; i < native.size(); ++i) loops[i] = is_named_loop(native[i]);
  std::size_t at = 0;
  for (const PyFrame& frame : python) {
    if (frame.loop_place.is_null()) continue;
    // The frame whose caller's stack begins above the place; calls inlined into it share its stack pointer.
    while (at + 1 < native.size() && native[at + 1].sp <= frame.loop_place) ++at;
    const NativeFrame& found = native[at];
    if (at + 1 < native.size() && found.sp <= frame.loop_place && found.function.empty() &&
        found.module == library)
      loops[at] = true;
  }
  return loops;
}

// Native frames that are part of an activation of the loop and not one of their own: instructions that are
// functions where the loop is built from tail calls (3.14 on), and the thin callers before PEP 523's hook.
bool is_instruction(const NativeFrame& frame) {
  return frame.function.starts_with("_TAIL_CALL_");
}
bool is_loop_caller(const NativeFrame& frame) {
  const std::string_view name = source_name(frame.function);
  return name == "_PyEval_EvalFrame" || name == "PyEval_EvalFrameEx" || name == "PyEval_EvalFrame";
}

// Each activation of the loop with all its native frames, innermost first.
std::vector<Span> loop_activations(const std::vector<NativeFrame>& frames, const std::vector<bool>& loops) {
  std::vector<Span> activations;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!loops[i]) continue;
    // Called inline from a loop frame that follows: the same activation (3.14's tail calls, DWARF's
    // inlining).
    const std::size_t floor = activations.empty() ? 0 : activations.back().end;
    std::size_t begin = i;
    while (begin > floor && (is_instruction(frames[begin - 1]) ||
                             (frames[begin - 1].inlined && frames[begin - 1].pc == frames[begin].pc))) {
      --begin;
    }
    while (frames[i].inlined && i + 1 < frames.size() && frames[i + 1].pc == frames[i].pc) ++i;
    std::size_t end = i + 1;
    while (end < frames.size() && is_loop_caller(frames[end])) ++end;
    activations.push_back({begin, end});
    i = end - 1;
  }
  return activations;
}

// The Python frames that each activation ran, innermost first. The last has no entry frame where the stack of
// Python frames was cut.
std::vector<Span> python_runs(const std::vector<PyFrame>& frames) {
  std::vector<Span> runs;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!frames[i].entry && i + 1 < frames.size()) continue;
    runs.push_back({begin, i + 1});
    begin = i + 1;
  }
  return runs;
}

class Merger {
 public:
  explicit Merger(const JoinedThread& thread) : thread_(thread) {}

  std::vector<MixedFrame> python_only() {
    if (thread_.python != nullptr) {
      add_python({0, thread_.python->frames.size()});
      add_python_gap();
    }
    return std::move(merged_);
  }

  std::vector<MixedFrame> merge() {
    if (thread_.os == nullptr || !thread_.os->native_walked || thread_.os->native.frames.empty()) {
      std::vector<MixedFrame> frames = python_only();
      merged_ = std::move(frames);
      const bool has_reason = thread_.os != nullptr && !thread_.os->native.gap.empty();
      add_native_gap(has_reason ? thread_.os->native.gap : "it was not read");
      return std::move(merged_);
    }
    const std::vector<NativeFrame>& native = thread_.os->native.frames;
    end_ = native.size();
    if (thread_.is_suspended() && thread_.python->frames.empty()) return std::move(merged_);
    if (thread_.python == nullptr || thread_.python->frames.empty()) {
      add_python_gap();
      add_native({0, native.size()});
      add_native_end();
      return std::move(merged_);
    }
    std::vector<Span> loops = loop_activations(native, find_loops(native, thread_.python->frames, library()));
    const std::vector<Span> runs = python_runs(thread_.python->frames);
    if (shares_stack()) {
      if (loops.size() != thread_.runs_above + runs.size() + thread_.runs_below) {
        add_python({0, thread_.python->frames.size()});
        add_python_gap();
        add_native_gap("which of them are whose is not known, for its thread has several thread states");
        return std::move(merged_);
      }
      begin_ = thread_.runs_above == 0 ? 0 : loops[thread_.runs_above - 1].end;
      end_ = thread_.runs_below == 0 ? native.size() : loops[thread_.runs_above + runs.size() - 1].end;
      loops.erase(loops.begin(), loops.begin() + static_cast<std::ptrdiff_t>(thread_.runs_above));
      loops.resize(runs.size());
    }
    if (can_pair(loops, runs)) {
      add_pairs(loops, runs);
    } else {
      add_python({0, thread_.python->frames.size()});
      add_python_gap();
      add_native_gap(std::to_string(loops.size()) +
                     " activations of the evaluation loop were recognised for " +
                     std::to_string(runs.size()) +
                     " runs of Python frames; the native frames follow, from the innermost on");
      add_native({0, native.size()});
      add_native_end();
    }
    return std::move(merged_);
  }

 private:
  std::string library() const { return thread_.runtime == nullptr ? "" : thread_.runtime->library; }

  bool walk_is_whole() const { return thread_.os->native.end == unwinder::StackEnd::root; }

  // Equal counts pair one to one. A native walk that ended early has lost outer activations and a cut Python
  // stack outer runs: then the inner ones still pair, unless an activation may have gone unrecognised, which
  // is so where a frame of the loop's own module has no name. The walk may have met no activation at all: it
  // ended in a JIT's code, which the loop had called.
  bool can_pair(const std::vector<Span>& loops, const std::vector<Span>& runs) const {
    if (loops.size() == runs.size()) return true;
    const bool native_cut = !walk_is_whole() && loops.size() < runs.size();
    const bool python_cut = !thread_.python->frames_gap.empty() && runs.size() < loops.size();
    if (!native_cut && !python_cut) return false;
    const std::vector<NativeFrame>& native = thread_.os->native.frames;
    std::string module = library();
    if (!loops.empty()) module = native[loops[0].begin].module;
    return !module.empty() && std::none_of(native.begin(), native.end(), [&](const NativeFrame& frame) {
      return (frame.function.empty() && frame.module == module) || frame.trust != unwinder::FrameTrust::exact;
    });
  }

  void add_pairs(const std::vector<Span>& loops, const std::vector<Span>& runs) {
    std::size_t next = begin_;
    const std::size_t pairs = std::min(loops.size(), runs.size());
    for (std::size_t i = 0; i < pairs; ++i) {
      add_native({next, loops[i].begin});
      add_python(runs[i]);
      next = loops[i].end;
    }
    if (runs.size() < loops.size()) add_python_gap();
    add_native({next, end_});
    if (end_ == thread_.os->native.frames.size()) add_native_end();
    if (pairs < runs.size()) add_python({runs[pairs].begin, runs.back().end});
    if (runs.size() >= loops.size()) add_python_gap();
  }

  void add_python(Span span) {
    for (std::size_t i = span.begin; i < span.end; ++i) {
      if (!thread_.python->frames[i].trampoline) merged_.push_back({MixedKind::python, i, ""});
    }
  }
  void add_native(Span span) {
    for (std::size_t i = span.begin; i < span.end; ++i) merged_.push_back({MixedKind::native, i, ""});
  }
  void add_native_gap(const std::string& reason) {
    merged_.push_back({MixedKind::gap, 0, native_gap_prefix + reason});
  }
  void add_native_end() {
    if (walk_is_whole() && thread_.os->native.gap.empty()) return;
    add_native_gap(thread_.os->native.gap.empty() ? "it ends here, no reason is known"
                                                  : thread_.os->native.gap);
  }
  void add_python_gap() {
    if (thread_.python == nullptr) return;
    std::string reason = thread_.python->frames_gap;
    if (thread_.python->frames_left_out > 0) {
      if (!reason.empty()) reason += "; ";
      reason += std::to_string(thread_.python->frames_left_out) + " frames left out";
    }
    if (!reason.empty()) merged_.push_back({MixedKind::gap, 0, std::move(reason)});
  }

  bool shares_stack() const { return thread_.runs_above + thread_.runs_below > 0; }

  const JoinedThread& thread_;
  std::size_t begin_ = 0, end_ = 0;  // of the native frames, those of this state
  std::vector<MixedFrame> merged_;
};

}  // namespace

std::vector<MixedFrame> python_stack(const JoinedThread& thread) {
  return Merger(thread).python_only();
}

std::vector<MixedFrame> mixed_stack(const JoinedThread& thread) {
  return Merger(thread).merge();
}

}  // namespace pythreads::report
