// The room's front door: finds CPython, fetches its state in waves while the target is held, and reads it
// from the kept pages afterwards. The three calls are the three parts of a look.
#pragma once

#include <cstddef>
#include <memory>

#include "attach/result.h"
#include "attach/target.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime.h"

namespace pythreads::pyframes {

struct ReadOptions {
  bool locals = false;
  bool locks = true;   // what threads wait for and hold; off only to measure what it costs
  bool redact = true;  // values whose name looks like a secret, passwords in URLs
  std::size_t max_threads = 100'000;
  std::size_t max_frames = 100'000;  // of one thread
};

class Rehearsal;

// Before the stop: touches in the running target what `fetch_python` will touch in the held one.
std::shared_ptr<Rehearsal> rehearse_python(const Runtime& runtime, const ReadOptions& options,
                                           attach::Target& running);

// While held. Touches, wave by wave over all threads, every page that `read_python` will need of what can
// change: interpreters, thread states, frames, the GIL, threading's tables, each sleeper's lock. Uses
// `Target::memory` alone and does nothing but read. With a rehearsal, whose pages were already read, it walks
// the threads alone that have moved since.
void fetch_python(const Runtime& runtime, const ReadOptions& options, attach::Target& held,
                  Rehearsal* rehearsal = nullptr);

// After the release (or over a core). Never fails as a whole: gaps are in the result.
PyRuntimeState read_python(const Runtime& runtime, const ReadOptions& options, attach::Target& target);

}  // namespace pythreads::pyframes
