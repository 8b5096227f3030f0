// What a table becomes where CPython was built with Py_TRACE_REFS: every object begins with two pointers
// more, `_ob_next` and `_ob_prev`, which link all that live (_PyObject_HEAD_EXTRA of Include/object.h,
// v3.6.15 to v3.12.14). Py_DEBUG meant it to 3.7 (bpo-36465); from 3.8 on it is `configure
// --with-trace-refs`; from 3.13 on the objects are kept in a table of their own, and heads are as everywhere
// (gh-108634).
//
// So the fields of all structs that are objects move by as much, and no other does: tables, entries, frames
// of 3.11 on, thread states and interpreters begin with no head. That each member of a group is named here is
// what the compiler checks.
#pragma once

#include <cstdint>

#include "pyframes/runtime_layout.h"

namespace pythreads::pyframes::layouts {

inline constexpr std::int32_t object_links_size = 16;

constexpr void move_behind_links(std::int32_t& size) {
  if (size != 0) size += object_links_size;
}

template <typename AnyField>
constexpr void move_behind_links(AnyField& field) {
  if (field.exists()) field.offset += object_links_size;
}

template <typename... Members>
constexpr void move_all(Members&... members) {
  (move_behind_links(members), ...);
}

// Which of both forms a table has: the links come first, and what every object begins with otherwise behind
// them.
constexpr bool has_linked_objects(const RuntimeLayout& layout) {
  return layout.object.ob_refcnt.offset == object_links_size;
}

// For an ordinary build's table of the same version.
constexpr RuntimeLayout with_linked_objects(RuntimeLayout layout) {
  {
    auto& [size, ob_type, ob_refcnt] = layout.object;
    move_all(size, ob_type, ob_refcnt);
  }
  {
    auto& [size, name, basicsize, itemsize, flags, base, dict, dictoffset, mro] = layout.type;
    move_all(size, name, basicsize, itemsize, flags, base, dict, dictoffset, mro);
  }
  {
    auto& [size, name, qualname, cached_keys, module] = layout.heap_type;
    move_all(size, name, qualname, cached_keys, module);
  }
  {
    auto& [size, length, kind, compact, ascii] = layout.unicode;
    move_all(size, length, kind, compact, ascii);
  }
  {
    auto& [size] = layout.compact_unicode;
    move_all(size);
  }
  {
    auto& [data] = layout.legacy_unicode;
    move_all(data);
  }
  {
    auto& [ob_size, ob_sval] = layout.bytes;
    move_all(ob_size, ob_sval);
  }
  {
    auto& [ob_size, lv_tag, ob_digit] = layout.integer;
    move_all(ob_size, lv_tag, ob_digit);
  }
  {
    auto& [ob_fval] = layout.floating;
    move_all(ob_fval);
  }
  {
    auto& [ob_size, ob_item] = layout.tuple;
    move_all(ob_size, ob_item);
  }
  {
    auto& [ob_size, ob_item] = layout.list;
    move_all(ob_size, ob_item);
  }
  {
    auto& [used, mask, table] = layout.set;
    move_all(used, mask, table);
  }
  {
    auto& [used, keys, values] = layout.dict;
    move_all(used, keys, values);
  }
  {
    auto& [size, flags, firstlineno, stacksize, nlocals, nlocalsplus, argcount, firsttraceable, filename,
           name, qualname, consts, names, linetable, varnames, cellvars, freevars, localsplusnames,
           localspluskinds, exceptiontable, code, code_adaptive, tlbc, monitoring, executors] = layout.code;
    move_all(size, flags, firstlineno, stacksize, nlocals, nlocalsplus, argcount, firsttraceable, filename,
             name, qualname, consts, names, linetable, varnames, cellvars, freevars, localsplusnames,
             localspluskinds, exceptiontable, code, code_adaptive, tlbc, monitoring, executors);
  }
  {
    auto& [size, back, code, builtins, globals, locals, valuestack, stacktop, stackdepth, lasti, lineno,
           iblock, state, executing, gen, blockstack, localsplus, frame] = layout.frame_object;
    move_all(size, back, code, builtins, globals, locals, valuestack, stacktop, stackdepth, lasti, lineno,
             iblock, state, executing, gen, blockstack, localsplus, frame);
  }
  {
    auto& [frame, name, qualname, code, frame_state, running, iframe] = layout.generator;
    move_all(frame, name, qualname, code, frame_state, running, iframe);
  }
  {
    auto& [func, self] = layout.method;
    move_all(func, self);
  }
  {
    auto& [ml, self, module] = layout.builtin_function;
    move_all(ml, self, module);
  }
  {
    auto& [code, globals, name, qualname, closure] = layout.function;
    move_all(code, globals, name, qualname, closure);
  }
  {
    auto& [ref] = layout.cell;
    move_all(ref);
  }
  {
    auto& [dict, name] = layout.module;
    move_all(dict, name);
  }
  {
    auto& [object] = layout.weak_reference;
    move_all(object);
  }
  {
    auto& [args, traceback, context, cause] = layout.base_exception;
    move_all(args, traceback, context, cause);
  }
  {
    auto& [next, frame, lasti, lineno] = layout.traceback;
    move_all(next, frame, lasti, lineno);
  }
  return layout;
}

}  // namespace pythreads::pyframes::layouts
