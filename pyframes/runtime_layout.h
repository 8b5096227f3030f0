// Where each field of CPython's structs lies: one plain table for a version and a build.
//
// Versions speak here and nowhere else. Readers never compare version numbers: they ask whether a field
// exists, or a named trait. A field that a version doesn't have is absent, which is not 0: offset 0 is a real
// one
// (`_PyInterpreterFrame.f_executable`). Names of structs and fields are CPython's own, so that
// `layout.thread_state.datastack_chunk` is found in Include/cpython/pystate.h under the same name; where a
// field was renamed, the newest name stands and the table's comment tells the older ones.
//
// The tables (layouts/cpython_3_*.h) are written by layouts/generate.py from DWARF and compared with every
// interpreter at hand by tests/layouts. From 3.13 on the target's own _Py_DebugOffsets is laid over
// (debug_offsets.h).
#pragma once

#include <cstdint>

namespace pythreads::pyframes {

// The offset in bytes of a field of type T in its struct.
template <typename T>
struct Field {
  std::int32_t offset = -1;
  constexpr bool exists() const { return offset >= 0; }
  constexpr bool operator==(const Field&) const = default;
};

using PointerField = Field<std::uint64_t>;
using SizeField = Field<std::int64_t>;  // Py_ssize_t
using IntField = Field<std::int32_t>;
using ByteField = Field<std::uint8_t>;

// A bit-field: `bits` bits from bit `shift` on (counted from the lowest) of the 4-byte word at `offset`.
struct BitField {
  std::int32_t offset = -1;
  std::uint8_t shift = 0;
  std::uint8_t bits = 0;
  constexpr bool exists() const { return offset >= 0; }
  constexpr bool operator==(const BitField&) const = default;
};

// How the chain of frames hangs on a thread state.
enum class FrameStyle : std::uint8_t {
  frame_objects,  // to 3.10: PyThreadState.frame, linked by PyFrameObject.f_back
  cframe,         // 3.11, 3.12: PyThreadState.cframe → _PyCFrame.current_frame
  current_frame,  // 3.13 on: PyThreadState.current_frame
};

// What f_lasti, prev_instr, instr_ptr count from and in.
enum class InstructionStyle : std::uint8_t {
  byte_index,  // to 3.9: f_lasti, bytes
  unit_index,  // 3.10: f_lasti, 2-byte units
  prev_instr,  // 3.11, 3.12: address of the last executed instruction
  instr_ptr,   // 3.13 on: address of the instruction to return to, or of the current one
};

enum class LineTable : std::uint8_t {
  lnotab,          // to 3.9: co_lnotab, signed line deltas (Objects/lnotab_notes.txt at v3.9.0)
  linetable,       // 3.10: PEP 626's co_linetable
  location_table,  // 3.11 on: with columns (Objects/locations.md at v3.11.0)
};

// How to tell the frame that entered an evaluation loop from C.
enum class EntryStyle : std::uint8_t {
  every_frame,  // to 3.10: each frame has an evaluation loop of its own
  is_entry,     // 3.11: _PyInterpreterFrame.is_entry
  shim_frame,   // 3.12 on: a frame below it that C pushed: owner says FRAME_OWNED_BY_CSTACK, 3.14 on
                // FRAME_OWNED_BY_INTERPRETER
};

// Where the data of an instance's attributes lie (facts of Objects/dictobject.c and
// Include/internal/pycore_object.h).
enum class AttributeStyle : std::uint8_t {
  dict_offset,    // to 3.10: a dict at tp_dictoffset
  values_before,  // 3.11: dict at -24 or values at -32 of a type with Py_TPFLAGS_MANAGED_DICT
  tagged_before,  // 3.12: word at -24: odd is values + 1, even is a dict
  inline_values,  // 3.13 on: dict at -24 (free-threaded: -8), values at tp_basicsize if it is 0
};

struct RuntimeLayout {
  const char* source = "";  // "CPython v3.11.7": the tag whose DWARF this table was read from

  FrameStyle frame_style = FrameStyle::frame_objects;
  InstructionStyle instruction_style = InstructionStyle::byte_index;
  LineTable line_table = LineTable::lnotab;
  EntryStyle entry_style = EntryStyle::every_frame;
  AttributeStyle attribute_style = AttributeStyle::dict_offset;
  bool tagged_stackrefs =
      false;  // 3.14 on: the words of localsplus and f_executable are _PyStackRef, low bits are tags
  bool runtime_in_variables =
      false;                   // to 3.6: no _PyRuntime, but variables of several files (runtime_places.h)
  bool free_threaded = false;  // Py_GIL_DISABLED: the longer object head
  std::int32_t first_shim_owner =
      0;  // _PyInterpreterFrame.owner from this value on: no Python frame. 0: there are none

  struct {
    std::int32_t size;
    PointerField ob_type;
    SizeField ob_refcnt;
  } object{};
  struct {
    std::int32_t size;
    PointerField tp_name;
    SizeField tp_basicsize, tp_itemsize;
    Field<std::uint64_t> tp_flags;
    PointerField tp_base, tp_dict;
    SizeField tp_dictoffset;
    PointerField tp_mro;
  } type{};
  struct {
    std::int32_t size;
    PointerField ht_name, ht_qualname, ht_cached_keys, ht_module;
  } heap_type{};
  struct {
    std::int32_t size;
    SizeField length;
    BitField kind, compact, ascii;
  } unicode{};  // PyASCIIObject; data follows it
  struct {
    std::int32_t size;
  } compact_unicode{};  // PyCompactUnicodeObject: data of a compact non-ASCII str follows it
  struct {
    PointerField data;
  } legacy_unicode{};  // PyUnicodeObject: where a str that is not compact has its data
  struct {
    SizeField ob_size;
    Field<char> ob_sval;
  } bytes{};
  struct {
    SizeField ob_size;
    Field<std::uint64_t> lv_tag;
    Field<std::uint32_t> ob_digit;
  } integer{};  // PyLongObject; lv_tag from 3.12
  struct {
    Field<double> ob_fval;
  } floating{};  // PyFloatObject
  struct {
    SizeField ob_size;
    PointerField ob_item;
  } tuple{};  // items are in the object
  struct {
    SizeField ob_size;
    PointerField ob_item;
  } list{};  // items are behind a pointer
  struct {
    SizeField used, mask;
    PointerField table;
  } set{};
  struct {
    SizeField ma_used;
    PointerField ma_keys, ma_values;
  } dict{};
  // dk_size to 3.10; dk_log2_size, dk_log2_index_bytes and dk_kind from 3.11.
  struct {
    SizeField dk_size;
    ByteField dk_log2_size, dk_log2_index_bytes, dk_kind;
    SizeField dk_nentries;
    Field<char> dk_indices;
  } dict_keys{};
  struct {
    std::int32_t size;
    PointerField me_key, me_value;
  } dict_entry{};
  struct {
    std::int32_t size;
    PointerField me_key, me_value;
  } dict_unicode_entry{};  // from 3.11
  struct {
    PointerField values;
  } dict_values{};  // _dictvalues, 3.11 on (3.13 on the array does not start at 0)

  struct {
    std::int32_t size;
    IntField co_flags, co_firstlineno, co_stacksize, co_nlocals, co_nlocalsplus, co_argcount;
    IntField co_firsttraceable;  // _co_firsttraceable, 3.11 on: index of the first RESUME, in 2-byte units
    PointerField co_filename, co_name, co_qualname;
    PointerField co_consts, co_names;
    PointerField co_linetable;                                               // co_lnotab to 3.9
    PointerField co_varnames, co_cellvars, co_freevars;                      // to 3.10
    PointerField co_localsplusnames, co_localspluskinds, co_exceptiontable;  // 3.11 on
    PointerField co_code;                                                    // to 3.10: a bytes object
    Field<char> co_code_adaptive;              // 3.11 on: the instructions, in the code object
    PointerField co_tlbc;                      // free-threaded 3.14 on: thread-local copies of them
    PointerField co_monitoring, co_executors;  // 3.12 on, 3.13 on
  } code{};
  struct {
    PointerField lines, per_instruction_opcodes;
  } monitoring_data{};  // _PyCoMonitoringData, 3.12 on
  // _PyCoLineInstrumentationData. To 3.13.2 an array of {opcode, delta}; from 3.13.3 on one head, and `data`
  // in entries of `bytes_per_entry`, of which an opcode is the first byte.
  struct {
    std::int32_t size;
    ByteField original_opcode, bytes_per_entry, data;
  } line_data{};

  // PyFrameObject to 3.10, and what remains of it (f_frame) from 3.11.
  struct {
    std::int32_t size;
    PointerField f_back, f_code, f_builtins, f_globals, f_locals, f_valuestack, f_stacktop;
    IntField f_stackdepth, f_lasti, f_lineno, f_iblock;
    ByteField f_state, f_executing;
    PointerField f_gen, f_blockstack, f_localsplus, f_frame;
  } frame_object{};
  struct {
    std::int32_t size;
    IntField b_type, b_handler, b_level;
  } try_block{};

  // _PyInterpreterFrame, 3.11 on.
  struct {
    std::int32_t size;
    PointerField f_executable;  // f_code in 3.11 and 3.12
    PointerField f_funcobj;     // f_func in 3.11
    PointerField f_globals, f_builtins, f_locals, frame_obj, previous;
    PointerField instr_ptr;  // prev_instr in 3.11 and 3.12
    IntField stacktop;
    PointerField stackpointer;
    IntField tlbc_index;
    Field<std::uint16_t> return_offset;
    ByteField is_entry, owner;
    PointerField localsplus;
  } interpreter_frame{};
  struct {
    PointerField current_frame, previous;
  } cframe{};

  struct {
    std::int32_t size;
    PointerField prev, next, interp;
    PointerField frame, cframe, current_frame, base_frame;
    Field<std::uint64_t> thread_id, native_thread_id, id;
    PointerField datastack_chunk, datastack_top;
    PointerField exc_info;   // 3.7 on: → _PyErr_StackItem
    PointerField exc_value;  // to 3.6: what is being handled, in the thread state itself
    PointerField curexc_value,
        current_exception;  // being raised: curexc_* to 3.11, current_exception from 3.12
    PointerField curexc_type, curexc_traceback;
    PointerField async_exc;
    // Recursion: depth counted up (to 3.10: recursion_depth), or down from a limit.
    IntField recursion_depth, recursion_limit, recursion_remaining, py_recursion_limit,
        py_recursion_remaining;
    IntField tracing, use_tracing;
    PointerField c_tracefunc, c_profilefunc;
    IntField state;  // 3.13 on: _Py_THREAD_DETACHED 0, ATTACHED 1, SUSPENDED 2, SHUTTING_DOWN 3
    BitField status_active, status_holds_gil, status_finalizing;  // _status, 3.12 on
    IntField holds_gil;                                           // 3.14 on
    IntField gil_requested;                                       // 3.15 on: it is inside take_gil
    Field<std::uint64_t> eval_breaker;                            // 3.13 on
    PointerField critical_section;
  } thread_state{};
  struct {
    PointerField exc_type, exc_value, exc_traceback, previous_item;
  } err_stack_item{};
  struct {
    PointerField previous;
    Field<std::uint64_t> size, top;
    PointerField data;
  } stack_chunk{};  // _PyStackChunk

  struct {
    std::int32_t size;
    PointerField next;
    Field<std::int64_t> id;
    PointerField threads_head;  // tstate_head to 3.10
    PointerField threads_main;
    PointerField modules, sysdict, builtins;
    PointerField ceval_gil;  // 3.12 on: → _gil_runtime_state
    IntField own_gil;
    IntField gil_drop_request, finalizing_flag;
    PointerField finalizing;
    IntField gc_collecting;  // gc.collecting
    PointerField gc_frame;   // 3.13, 3.14: the frame that the collector was started from
    Field<std::uint8_t> stoptheworld_requested, stoptheworld_world_stopped, stoptheworld_stop_event;
    PointerField stoptheworld_requester;
  } interpreter{};

  // _PyRuntime; no table of a version without it has fields of it, nor of the GIL (runtime_places.h).
  struct {
    std::int32_t size;
    PointerField interpreters_head, interpreters_main;
    Field<std::uint64_t> main_thread;  // ident of the main thread; 3.7: ceval.pending.main_thread
    PointerField finalizing;
    IntField initialized, core_initialized;
    PointerField gilstate_tstate_current;  // to 3.11
    Field<char> ceval_gil;                 // to 3.11: the _gil_runtime_state itself
    IntField gc_collecting;                // to 3.8: gc is the runtime's
    PointerField thread_handles;           // 3.13 on: threads.handles
    // The stop of all interpreters' threads (fork, for one); each interpreter has one of its own as well.
    Field<std::uint8_t> stoptheworld_requested, stoptheworld_is_global, stoptheworld_stop_event;
    PointerField stoptheworld_requester;
  } runtime{};

  // struct _gil_runtime_state. `cond` to `switch_mutex` are pthread objects whose whole range is asked.
  struct {
    std::int32_t size;
    IntField enabled;
    PointerField last_holder;
    IntField locked;
    Field<char> cond, mutex, switch_cond, switch_mutex;
    std::int32_t cond_size, mutex_size;
  } gil{};

  struct {
    PointerField gi_frame, gi_name, gi_qualname, gi_code;
    ByteField gi_frame_state, gi_running;
    PointerField gi_iframe;
  } generator{};
  struct {
    PointerField im_func, im_self;
  } method{};
  struct {
    PointerField m_ml, m_self, m_module;
  } builtin_function{};
  struct {
    PointerField ml_name;
  } method_def{};
  struct {
    PointerField func_code, func_globals, func_name, func_qualname, func_closure;
  } function{};
  struct {
    PointerField ob_ref;
  } cell{};
  struct {
    PointerField md_dict, md_name;
  } module{};
  struct {
    PointerField wr_object;
  } weak_reference{};
  struct {
    PointerField args, traceback, context, cause;
  } base_exception{};  // PyBaseExceptionObject
  struct {
    PointerField tb_next, tb_frame;
    IntField tb_lasti, tb_lineno;
  } traceback{};

  // PyThreadHandleObject and what it points to, 3.13 on.
  struct {
    PointerField handle;
  } thread_handle_object{};
  struct {
    Field<std::uint64_t> ident, os_handle;
    IntField state;
    ByteField thread_is_exiting;
  } thread_handle{};

  // The parking lot's struct wait_entry, 3.13 on.
  struct {
    std::int32_t size;
    PointerField addr, sema, next, prev;
  } wait_entry{};
};

}  // namespace pythreads::pyframes
