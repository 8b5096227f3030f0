// Where a CPython may be in a process: candidates for `_PyRuntime`, none of which is believed before its
// `sys` was read (runtime.h).
//
// Three ways, the surest first. What a module exports is asked of memory alone. The file's .symtab and the
// section `.PyRuntime` (3.10 on) tell of an executable that exports nothing, and .symtab alone of all that an
// older one has instead (runtime_places.h). Where neither is there (stripped of its section headers too, or
// the file is out of reach) the writable data are searched: for the cookie of _Py_DebugOffsets (3.13 on), and
// for what only a list of interpreters looks like (before): `struct pyinterpreters` {mutex, head, main,
// next_id} of Include/internal/pycore_runtime.h, 3.8 to 3.12, whose interpreters lead to thread states that
// point back.
#pragma once

#include <optional>
#include <vector>

#include "attach/address.h"
#include "attach/modules.h"
#include "attach/target.h"
#include "pyframes/runtime_places.h"

namespace pythreads::pyframes {

struct RuntimeCandidate {
  const attach::Module* module = nullptr;
  attach::Address runtime;
  std::optional<attach::Address> version;  // of Py_Version (3.11 on)
  std::optional<RuntimePlaces> places;     // to 3.6, where there is no _PyRuntime
};

class RuntimeSearch {
 public:
  // `scanned`: the same memory, without a cache that would keep all that is searched.
  RuntimeSearch(attach::Target& target, attach::Memory& scanned);

  // The likely ones first: the executable, then what is called python, then the others. Bounded.
  const std::vector<const attach::Module*>& modules() const { return modules_; }

  bool is_executable(const attach::Module& module) const;
  bool is_named_python(const attach::Module& module) const;

  std::optional<RuntimeCandidate> exported(const attach::Module& module);
  std::optional<RuntimeCandidate> in_file(const attach::Module& module);
  // Several, for that something looks like it proves nothing. Bounded over all modules together.
  std::vector<RuntimeCandidate> in_data(const attach::Module& module);

  // A CPython was seen of which nothing was found.
  bool saw_older() const { return saw_older_; }

 private:
  std::optional<RuntimeCandidate> in_variables(const attach::Module& module);

  attach::Target& target_;
  attach::Memory& scanned_;
  std::vector<const attach::Module*> modules_;
  std::uint64_t left_to_scan_;
  bool saw_older_ = false;
};

// The last component of a path.
std::string_view base_name(std::string_view path);

}  // namespace pythreads::pyframes
