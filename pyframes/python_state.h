// CPython's state as plain facts: what the readers of this room produce and what analysis and renderers work
// on. Nothing here needs the target. Where something could not be read, the `gap` beside it says why.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attach/address.h"
#include "attach/shared_text.h"
#include "pyframes/sync_state.h"

namespace pythreads::pyframes {

struct PyVersion {
  int major = 0, minor = 0, micro = 0;
  std::uint32_t hex = 0;  // PY_VERSION_HEX: its last byte tells alpha, beta, candidate, final
};

// "3.11.7", "3.15.0rc1"
inline std::string to_string(const PyVersion& version) {
  std::string text = std::to_string(version.major) + '.' + std::to_string(version.minor) + '.' +
                     std::to_string(version.micro);
  // The last byte of PY_VERSION_HEX: level (0xA alpha, 0xB beta, 0xC candidate, 0xF final) and serial.
  const std::string serial = std::to_string(version.hex & 15);
  switch (version.hex >> 4 & 15) {
    case 0xA:
      return text + 'a' + serial;
    case 0xB:
      return text + 'b' + serial;
    case 0xC:
      return text + "rc" + serial;
    default:
      return text;
  }
}

enum class Linkage { static_executable, shared_library };
enum class LayoutTrust {
  exact,         // a committed table for this minor version, its self-check passed
  extrapolated,  // a newer minor: its _Py_DebugOffsets over the nearest table
};

// A value as a person may see it: bounded in size and depth, text already valid UTF-8.
struct PyValue {
  std::string text;       // "'abc…'", "[1, 2, … 40 more]", "<bank.Account at 0x7f…>"
  bool redacted = false;  // hidden for its name; `text` is then "<redacted>"
};

struct PyLocal {
  std::string name;
  PyValue value;
};

// What made a frame run in the middle of the next outer one, which did not call it.
enum class PyTrigger { none, finalizer, signal_handler, gc, atexit, import, trace };

struct PyFrame {
  attach::SharedText function;        // co_name
  attach::SharedText qualified_name;  // co_qualname from 3.11; before, the name (with the class of a local
                                      // `self` never guessed)
  attach::SharedText module_name;     // __name__ of f_globals; empty if it was not read
  attach::SharedText file;            // co_filename
  bool function_unread = false, file_unread = false;  // else an empty text is what it is called
  int line = 0;                                       // 0: none (an instruction without a line)
  int column = 0, end_line = 0, end_column = 0;  // 1-based columns in bytes as CPython counts + 1; 0: unknown
  bool entry = false;  // C entered an evaluation loop with this frame: one native run ends below it
  // Of an entry frame from 3.12 on: what its evaluation loop keeps on the C stack, so that the native frame
  // whose part of the stack holds it is the loop's, whatever its name; null: not known.
  attach::Address loop_place;
  bool trampoline =
      false;  // code that CPython itself made ("<shim>", entry trampolines); not shown by faulthandler
  PyTrigger trigger = PyTrigger::none;
  attach::Address address;  // of the frame
  attach::Address code;
  std::vector<PyLocal> locals;    // with --locals
  attach::SharedText locals_gap;  // why locals are missing or cut
};

struct PyException {
  std::string type;     // qualified with its module unless builtins
  std::string message;  // str() as far as args tell it without running code; cut at 200 characters
  std::string raised_at_file;
  int raised_at_line = 0;  // 0: not known
};

// Whether a thread state may use Python's objects (PyThreadState.state, 3.13 on): `attached`. With the GIL
// that is to hold it; free-threaded, many threads are attached at once, and a stop of the world suspends all
// that are not (Python/pystate.c, stop_the_world, at v3.14.0).
enum class PyAttachment { detached, attached, suspended, shutting_down };

struct PyThread {
  attach::Address tstate;
  std::int64_t interpreter = 0;
  std::uint64_t ident = 0;  // PyThreadState.thread_id: pthread_self()
  std::optional<std::uint64_t>
      native_thread_id;  // as the thread state has it (3.11 on): in the target's pid namespace
  pid_t tid =
      0;  // the OS thread in our namespace, found by its pthread_self(), else by native id; 0: none found
  // Another state of the same OS thread runs above it (an interpreter that it entered): only that one waits.
  bool suspended = false;
  attach::Address stack_place;  // where on the C stack its innermost evaluation loop is; null: not known
  std::string name;             // threading's name; empty if threading has no such thread
  std::optional<bool> daemon;
  bool main = false;
  std::vector<PyFrame> frames;  // innermost first
  std::string frames_gap;       // why they end early
  std::size_t frames_left_out = 0;
  std::optional<PyException> exception;
  std::optional<int> recursion_depth;
  bool tracing = false, profiling = false;
  std::optional<std::string> pending_async_exception;  // the type's name
  std::optional<PyAttachment> attachment;
  bool holds_gil = false;
  bool waits_for_gil = false;  // it sleeps on one of the GIL's own words
  // … to take it. Else it has just given it up, on its way into a call that may block, and waits until
  // another has it (Python/ceval_gil.h, FORCE_SWITCHING, at v3.8.0).
  bool takes_gil = false;
  std::string gil_evidence;
  std::optional<PyLockWait> lock_wait;
  std::vector<PyFrameObject> frame_objects;
  std::vector<PyHeldLock> held;
  std::vector<PyPendingCall> pending_calls;
  std::vector<PyMention> mentions;
  std::vector<std::string> gaps;
};

struct PyGil {
  attach::Address address;
  bool locked = false;
  attach::Address holder;  // tstate; null when not locked
  pid_t holder_tid = 0;
  bool handing_over = false;  // locked, but its holder still sleeps in take_gil: it was just handed over
};

struct PyInterpreter {
  std::int64_t id = 0;
  bool main = false;
  attach::Address address;
  std::optional<PyGil> gil;  // none on free-threaded builds with the GIL off
  std::string gil_gap;
  std::optional<bool> gc_collecting;
  pid_t gc_tid = 0;  // 0: not known
  bool finalizing = false;
  std::optional<bool> stop_the_world_requested;  // free-threaded
  pid_t stop_the_world_requester = 0;
  std::vector<PyThread> threads;  // as CPython lists them
  std::string threads_gap;
};

// One CPython in a process.
struct PyRuntimeState {
  PyVersion version;
  bool debug = false;
  bool free_threaded = false;
  Linkage linkage = Linkage::static_executable;
  std::string library;  // path of the module that holds _PyRuntime
  LayoutTrust layout = LayoutTrust::exact;
  attach::Address address;  // of _PyRuntime
  bool initialized = true, finalizing = false;
  std::vector<PyInterpreter> interpreters;
  std::vector<PySyncObject> sync_objects;  // by address; every one that a thread refers to
  std::vector<std::string> gaps;
};

// Null: no such object was read.
inline const PySyncObject* find_sync_object(const PyRuntimeState& state, attach::Address address) {
  const auto found =
      std::lower_bound(state.sync_objects.begin(), state.sync_objects.end(), address,
                       [](const PySyncObject& object, attach::Address at) { return object.address < at; });
  return found != state.sync_objects.end() && found->address == address ? &*found : nullptr;
}

}  // namespace pythreads::pyframes
