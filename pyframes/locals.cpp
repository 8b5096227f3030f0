#include "pyframes/locals.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pyframes/frame_slots.h"
#include "pyframes/frame_variables.h"
#include "pyframes/objects.h"
#include "pyframes/redaction.h"
#include "pyframes/values.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Result;

constexpr std::size_t max_frames_with = 1000;  // of one thread
constexpr std::size_t most_at_once = 65536;    // objects that are asked for together
constexpr std::uint64_t object_bytes = 64;     // what a first look at an object touches

PyValue value_of(Reading& reading, const std::string& name, Address object) {
  if (reading.options.redact && is_secret_name(name)) return redacted_value();
  return read_value(reading, object);
}

void read_locals_of(Reading& reading, const FrameCopy& frame, PyFrame& into) {
  FrameVariables found = frame_variables(reading, frame);
  for (FrameVariable& each : found.variables) {
    PyValue value = value_of(reading, each.name, each.object);
    into.locals.push_back({std::move(each.name), std::move(value)});
  }
  into.locals_gap = std::move(found.gap);
}

template <typename Visit>
void for_each_frame(const RuntimeCopy& copy, Visit visit) {
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (std::size_t i = 0; i < std::min(thread.frames.size(), max_frames_with); ++i)
        visit(thread.frames[i]);
    }
  }
}

}  // namespace

void fetch_locals(Reading& reading, const RuntimeCopy& copy) {
  if (!reading.options.locals) return;
  const RuntimeLayout& layout = reading.layout();
  std::vector<const FrameCopy*> frames;
  for_each_frame(copy, [&](const FrameCopy& frame) { frames.push_back(&frame); });
  fetch_frame_variables(reading, frames);

  std::vector<attach::Range> wave;
  for (const FrameCopy* frame : frames) {
    if (wave.size() >= most_at_once) {
      reading.memory.prefetch(wave);
      wave.clear();
      if (!reading.memory.begin(attach::HeldPart::locals)) return;
    }
    const Result<FrameSize> size = frame_size(reading, frame->code);
    if (!size) continue;
    const Result<std::vector<std::uint64_t>> words =
        read_slots(reading, frame_slots(layout, *frame, *size), 0, std::min(size->variables, max_variables));
    if (!words) continue;
    for (const std::uint64_t word : *words) {
      const std::optional<Address> object = referred_object(layout, word);
      if (object) wave.push_back({*object, object_bytes});
    }
  }
  reading.memory.prefetch(wave);

  for_each_frame(copy, [&](const FrameCopy& frame) {
    if (!reading.memory.begin(attach::HeldPart::locals)) return;
    PyFrame dropped;
    read_locals_of(reading, frame, dropped);
  });
}

void give_up_locals(PyRuntimeState& state) {
  for (PyInterpreter& interpreter : state.interpreters) {
    for (PyThread& thread : interpreter.threads) {
      for (PyFrame& frame : thread.frames) frame.locals_gap = "the pause budget left no time for them";
    }
  }
}

void read_locals(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!reading.options.locals) return;
  const attach::SharedText too_deep = "not read so deep in the stack";
  for (std::size_t i = 0; i < std::min(copy.interpreters.size(), state.interpreters.size()); ++i) {
    const std::vector<ThreadCopy>& threads = copy.interpreters[i].threads;
    for (std::size_t j = 0; j < std::min(threads.size(), state.interpreters[i].threads.size()); ++j) {
      std::vector<PyFrame>& frames = state.interpreters[i].threads[j].frames;
      for (std::size_t k = 0; k < std::min(threads[j].frames.size(), frames.size()); ++k) {
        if (k < max_frames_with) {
          read_locals_of(reading, threads[j].frames[k], frames[k]);
        } else {
          frames[k].locals_gap = too_deep;
        }
      }
    }
  }
}

}  // namespace pythreads::pyframes
