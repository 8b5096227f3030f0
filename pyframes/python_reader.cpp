#include "pyframes/python_reader.h"

#include "pyframes/exceptions.h"
#include "pyframes/frames.h"
#include "pyframes/gil.h"
#include "pyframes/held_locks.h"
#include "pyframes/interpreters.h"
#include "pyframes/locals.h"
#include "pyframes/locks.h"
#include "pyframes/reading.h"
#include "pyframes/thread_ids.h"
#include "pyframes/thread_names.h"
#include "pyframes/thread_states.h"
#include "pyframes/triggers.h"

namespace pythreads::pyframes {
namespace {

RuntimeCopy copy_runtime(Reading& reading) {
  RuntimeCopy copy = copy_interpreters(reading);
  match_os_threads(reading, copy);
  chain_frames(reading, copy);
  return copy;
}

}  // namespace

void fetch_python(const Runtime& runtime, const ReadOptions& options, attach::Target& held) {
  Reading reading{.runtime = runtime,
                  .target = held,
                  .memory = *held.memory,
                  .lasting = *held.memory,
                  .options = options,
                  .held = true};
  RuntimeCopy copy = copy_runtime(reading);
  fetch_gil(reading, copy);
  fetch_thread_states(reading, copy);
  fetch_held_locks(reading, copy, fetch_locks(reading, copy));
  fetch_triggers(reading, copy);
  fetch_exceptions(reading, copy);
  fetch_thread_names(reading, copy);
  fetch_locals(reading, copy);
}

PyRuntimeState read_python(const Runtime& runtime, const ReadOptions& options, attach::Target& target) {
  PyRuntimeState state;
  state.version = runtime.version;
  state.debug = runtime.debug;
  state.free_threaded = runtime.free_threaded;
  state.linkage = runtime.linkage;
  state.library = runtime.library;
  state.layout = runtime.layout_trust;
  state.address = runtime.address;
  if (!runtime.layout_note.empty()) state.gaps.push_back(runtime.layout_note);

  Reading reading{.runtime = runtime,
                  .target = target,
                  .memory = *target.memory,
                  .lasting = target.lasting ? *target.lasting : *target.memory,
                  .options = options};
  RuntimeCopy copy = copy_runtime(reading);
  read_interpreters(reading, copy, state);
  read_thread_ids(reading, copy, state);
  read_frames(reading, copy, state);
  read_gil(reading, copy, state);
  read_thread_states(reading, copy, state);
  read_locks(reading, copy, state);
  read_held_locks(reading, copy, state);
  read_triggers(reading, copy, state);
  read_exceptions(reading, copy, state);
  read_thread_names(reading, copy, state);
  read_locals(reading, copy, state);
  return state;
}

}  // namespace pythreads::pyframes
