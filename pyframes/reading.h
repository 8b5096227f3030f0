// What every reader of this room is given: where the target's bytes come from, how they are laid out, and
// what was asked for; and the copies that one look is made of.
//
// The same walk runs three times. Before the stop it goes over the running target, so that all that it asks
// for can be read at once (rehearsal.h). While the target is held (`held` is true, as before the stop) it
// goes over `memory` to touch, wave by wave and for those threads alone that have moved, all that can change;
// after the release it goes over the pages that were kept, and gives the facts. So nothing that was fetched
// is missed, and no reader has two forms.
//
// A reader of one noun gives python_reader.cpp two functions, each over the whole runtime so that it works in
// waves over all threads:
//   void fetch_gil(Reading&, const RuntimeCopy&);                   // while held: touches
//   void read_gil(Reading&, const RuntimeCopy&, PyRuntimeState&);   // after it: fills in
// `state.interpreters[i].threads[j]` is of `copy.interpreters[i].threads[j]`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "attach/address.h"
#include "attach/memory.h"
#include "attach/target.h"
#include "pyframes/code.h"
#include "pyframes/exception_table.h"
#include "pyframes/objects.h"
#include "pyframes/python_reader.h"
#include "pyframes/python_state.h"
#include "pyframes/runtime.h"
#include "pyframes/struct_copy.h"

namespace pythreads::pyframes {

struct VariableName;
struct Bytecode;
struct MethodCall;

// What a type says of synchronization (sync_objects.h).
struct SyncType {
  bool is_one = false;
  PySyncKind kind = PySyncKind::lock;
  bool native = false;    // written in C
  std::int64_t size = 0;  // tp_basicsize without the head, of the base that the kind was known by
  std::string name;       // "threading.Condition"
};

// In words, as the code object tells (frame_slots.h).
struct FrameSize {
  std::size_t variables = 0;    // local variables, cells and free variables
  std::size_t value_stack = 0;  // behind them
  bool fast_locals = true;      // CO_OPTIMIZED: not in a dict, as a module's and a class's
};

// A handler that an instruction is inside of (with_blocks.h).
struct CoveringHandler {
  ExceptionHandler handler;
  std::int64_t begin = 0;  // the first instruction that it covers, offset in bytes
  bool of_with = false;
};

// What was read of things that don't change while they exist, by their address in the target.
struct LastingFacts {
  std::unordered_map<attach::Address, std::shared_ptr<const Code>> codes, code_heads;
  std::unordered_map<attach::Address, attach::SharedText> code_names;
  std::unordered_map<attach::Address, std::shared_ptr<const ExceptionTable>> exception_tables;
  // By the address of the instruction that a frame is at: what covers it, and the block that it enters.
  std::unordered_map<attach::Address, std::vector<CoveringHandler>> covering;
  std::unordered_map<attach::Address, std::optional<CoveringHandler>> entering;
  std::unordered_map<attach::Address, std::shared_ptr<const std::vector<std::uint8_t>>> co_codes;  // to 3.10
  std::unordered_map<attach::Address, FrameSize> frame_sizes;
  std::unordered_map<attach::Address, PointerField> bound_selves;  // by type: where a method's self is
  std::map<std::pair<attach::Address, std::int64_t>, SourcePosition> positions;  // by code and instruction
  std::unordered_map<attach::Address, attach::SharedText> module_names;          // by f_globals
  std::unordered_map<attach::Address, bool> library_globals;                     // by f_globals
  std::unordered_map<attach::Address, std::string> type_names;
  std::unordered_map<attach::Address, std::shared_ptr<const std::vector<VariableName>>> variable_names;
  std::unordered_map<attach::Address, SyncType> sync_types;
  std::unordered_map<attach::Address, std::shared_ptr<const Bytecode>> bytecodes;
  std::unordered_map<attach::Address, std::shared_ptr<const std::vector<MethodCall>>> method_calls;
  std::unordered_map<attach::Address, std::vector<attach::Address>> code_name_tuples;  // co_names
  std::unordered_map<attach::Address, bool> generator_types;  // whether objects of the type are generators
  DictPlaces dict_places;
  attach::Address code_type;  // PyCode_Type, once an object of it was seen
};

// What one look is made with.
struct LookContext {
  const Runtime& runtime;
  attach::Target& target;
  // As it was at the stop; a miss is an error. Everything that carries an owner, a wait, a verdict.
  attach::Memory& memory;
  // What doesn't change while it exists: code objects, names, types. While held it is `memory`.
  attach::Memory& lasting;
  // For the text of dicts' keys. Before the stop it is none of what the stop will read again: it is not
  // sought there where a key still has its place.
  attach::Memory& keys;
  const ReadOptions& options;
  bool held = false;
};

// All frames that stand on some thread's stack. Of many thousands few are ever asked for, so they are put in
// order only then.
class StackFrames {
 public:
  void add(attach::Address frame) {
    frames_.push_back(frame);
    ordered_ = false;
  }
  bool contains(attach::Address frame) {
    if (!ordered_) std::sort(frames_.begin(), frames_.end());
    ordered_ = true;
    return std::binary_search(frames_.begin(), frames_.end(), frame);
  }

 private:
  std::vector<attach::Address> frames_;
  bool ordered_ = true;
};

struct Reading : LookContext, LastingFacts {
  explicit Reading(const LookContext& context) : LookContext(context) {}

  // What was already read of this look, by the address in the target.
  std::unordered_map<attach::Address, std::shared_ptr<PySyncObject>> sync_objects;  // null: it is none
  std::unordered_map<attach::Address, std::optional<attach::Address>> released_by_objects;  // lock_managers.h
  StackFrames stack_frames;

  LastingFacts& lasting_facts() { return *this; }
  KeySearch key_search() { return {keys, &dict_places}; }
  const RuntimeLayout& layout() const { return runtime.layout; }
};

// A frame as it lies in the target: PyFrameObject to 3.10, _PyInterpreterFrame from 3.11.
struct FrameCopy {
  attach::Address address;
  attach::Address code;  // a code object as far as its type says so; tags removed
  StructCopy frame;      // the struct's fixed part; localsplus begins at its `localsplus`
  bool entry = false;
  attach::Address loop_place;  // as PyFrame's
};

struct ThreadCopy {
  StructCopy tstate;                // at() is the thread state's address
  std::vector<FrameCopy> frames;    // innermost first; shims and incomplete frames left out
  std::string frames_gap;           // why they end early
  std::size_t frames_left_out = 0;  // past ReadOptions::max_frames (0 too when that isn't known)
  const attach::ThreadState* os_thread = nullptr;  // into Target::threads; null: none was matched
  std::string os_thread_gap;                       // why none was matched, where more is known than that
  bool gone = false;            // its ident and stack are another's by now, as the native id says
  attach::Address entry_frame;  // what the innermost evaluation loop left on the C stack (3.12 on)
  attach::Address stack_place;  // of the innermost evaluation loop, on os_thread's stack; null: not known
  bool suspended = false;       // another state of its OS thread runs above it
};

struct InterpreterCopy {
  StructCopy interpreter;  // the beginning, as far as the layout has fields
  std::vector<ThreadCopy> threads;
  std::string threads_gap;
};

struct RuntimeCopy {
  StructCopy runtime;  // of _PyRuntime, as far as the layout has fields
  std::vector<InterpreterCopy> interpreters;
  std::vector<std::string> gaps;
};

}  // namespace pythreads::pyframes
