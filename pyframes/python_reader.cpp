#include "pyframes/python_reader.h"

#include "pyframes/critical_sections.h"
#include "pyframes/exceptions.h"
#include "pyframes/frame_objects.h"
#include "pyframes/frames.h"
#include "pyframes/gil.h"
#include "pyframes/held_codes.h"
#include "pyframes/held_locks.h"
#include "pyframes/interpreters.h"
#include "pyframes/locals.h"
#include "pyframes/lock_mentions.h"
#include "pyframes/lock_names.h"
#include "pyframes/locks.h"
#include "pyframes/pending_calls.h"
#include "pyframes/reading.h"
#include "pyframes/rehearsal.h"
#include "pyframes/stack_places.h"
#include "pyframes/sync_objects.h"
#include "pyframes/thread_ids.h"
#include "pyframes/thread_names.h"
#include "pyframes/thread_states.h"
#include "pyframes/triggers.h"

namespace pythreads::pyframes {
namespace {

void complete(Reading& reading, RuntimeCopy& copy) {
  match_os_threads(reading, copy);
  chain_frames(reading, copy);
  place_on_stacks(reading, copy);
}

RuntimeCopy copy_runtime(Reading& reading) {
  RuntimeCopy copy = copy_interpreters(reading);
  complete(reading, copy);
  return copy;
}

// Who waits for what and who holds it: the same walk while held, over a state that is thrown away, and after.
void read_synchronization(Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!reading.options.locks) return;
  read_locks(reading, copy, state);
  read_frame_objects(reading, copy, state);
  read_held_locks(reading, copy, state);
  read_critical_sections(reading, copy, state);
  read_pending_calls(reading, copy, state);
  read_sync_objects(reading, state);
}

void read_names_of_locks(const Reading& reading, const RuntimeCopy& copy, PyRuntimeState& state) {
  if (!reading.options.locks) return;
  Reading lasting({.runtime = reading.runtime,
                   .target = reading.target,
                   .memory = reading.lasting,
                   .lasting = reading.lasting,
                   .keys = reading.keys,
                   .options = reading.options});
  read_lock_names(lasting, copy, state);
  read_lock_mentions(lasting, copy, state);
}

// As many interpreters and threads as were copied, with nothing said of them but who they are.
PyRuntimeState unnamed_state(const Reading& reading, const RuntimeCopy& copy) {
  PyRuntimeState state;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    std::vector<PyThread>& threads = state.interpreters.emplace_back().threads;
    for (const ThreadCopy& thread : interpreter.threads) {
      PyThread& unnamed = threads.emplace_back();
      unnamed.tstate = thread.tstate.at();
      unnamed.ident = thread.tstate.get(reading.layout().thread_state.thread_id).value_or(0);
    }
  }
  return state;
}

// A walk that is for what it touches, in a target that is held or will be.
Reading touching(const Runtime& runtime, const ReadOptions& options, attach::Target& target,
                 attach::Memory& keys) {
  return Reading({.runtime = runtime,
                  .target = target,
                  .memory = *target.memory,
                  .lasting = *target.memory,
                  .keys = keys,
                  .options = options,
                  .held = true});
}

// What is never given up.
PyRuntimeState touch(Reading& reading, const RuntimeCopy& copy) {
  PyRuntimeState state;
  fetch_codes(reading, copy);
  fetch_gil(reading, copy);
  fetch_thread_states(reading, copy);
  if (reading.options.locks) {
    fetch_locks(reading, copy);
    fetch_held_locks(reading, copy);
    state = unnamed_state(reading, copy);
    read_synchronization(reading, copy, state);
  }
  fetch_triggers(reading, copy);
  return state;
}

// What may be given up to the pause budget.
void touch_names(Reading& reading, const RuntimeCopy& copy) {
  if (reading.memory.begin(attach::HeldPart::names)) fetch_thread_names(reading, copy);
}

void touch_locals(Reading& reading, const RuntimeCopy& copy) {
  if (!reading.memory.begin(attach::HeldPart::locals)) return;
  fetch_exceptions(reading, copy);
  fetch_locals(reading, copy);
}

}  // namespace

std::shared_ptr<Rehearsal> rehearse_python(const Runtime& runtime, const ReadOptions& options,
                                           attach::Target& running) {
  Reading reading = touching(runtime, options, running, *running.lasting);
  RuntimeCopy copy = copy_runtime(reading);
  const PyRuntimeState state = touch(reading, copy);
  touch_names(reading, copy);
  touch_locals(reading, copy);
  return std::make_shared<Rehearsal>(std::move(reading), std::move(copy), state);
}

void fetch_python(const Runtime& runtime, const ReadOptions& options, attach::Target& held,
                  Rehearsal* rehearsal) {
  Reading reading = touching(runtime, options, held, *held.memory);
  if (rehearsal != nullptr) {
    rehearsal->give_facts(reading);
    RuntimeCopy moved = copy_interpreters(reading);
    rehearsal->leave_out_unmoved(reading, moved);
    complete(reading, moved);
    const PyRuntimeState state = touch(reading, moved);
    if (!rehearsal->is_news(state)) {
      if (reading.memory.begin(attach::HeldPart::names) && !rehearsal->knows_names(reading, moved))
        fetch_thread_names(reading, moved);
      return touch_locals(reading, moved);
    }
  }
  RuntimeCopy copy = copy_runtime(reading);
  touch(reading, copy);
  touch_names(reading, copy);
  touch_locals(reading, copy);
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
  state.gaps.insert(state.gaps.end(), runtime.others.begin(), runtime.others.end());

  Reading reading({.runtime = runtime,
                   .target = target,
                   .memory = *target.memory,
                   .lasting = target.lasting ? *target.lasting : *target.memory,
                   .keys = target.lasting ? *target.lasting : *target.memory,
                   .options = options});
  RuntimeCopy copy = copy_runtime(reading);
  read_interpreters(reading, copy, state);
  read_thread_ids(reading, copy, state);
  read_frames(reading, copy, state);
  read_gil(reading, copy, state);
  read_thread_states(reading, copy, state);
  read_synchronization(reading, copy, state);
  read_names_of_locks(reading, copy, state);
  read_triggers(reading, copy, state);
  if (reading.memory.begin(attach::HeldPart::names)) read_thread_names(reading, copy, state);
  if (reading.memory.begin(attach::HeldPart::locals)) {
    read_exceptions(reading, copy, state);
    read_locals(reading, copy, state);
  } else if (options.locals) {
    give_up_locals(state);
  }
  return state;
}

}  // namespace pythreads::pyframes
