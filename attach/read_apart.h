// Reading in a process of its own, once the target goes on: a fork that has the pages of the stop, the
// descriptor of the target's memory and a socket, and may do nothing but read, compute and send its result
// back (sandbox.h). Whatever a hostile target, library or debug file makes of it, it has no rights to use;
// when it crashes, hangs or asks for memory without end, that is an error of this look, and the target has
// been going on since before it began.
//
// Why here: what is read until then, while the target is held, are words and pointers, by bounded walks. All
// that decodes (strings, values, line and unwind tables, ELF, DWARF, compressed and mangled names) is done
// after the release, so apart. Where the cut is, nothing has to be handed over: the fork has it all, copy on
// write. What comes back are plain facts, checked by who takes them (cli/packed_facts.h).
//
// Files come to it by `BrokeredFiles`. It ends with this process: prctl(2), PR_SET_PDEATHSIG.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>

#include "attach/result.h"
#include "attach/target.h"

namespace pythreads::attach {

class ReadingApart {
 public:
  ReadingApart() = default;
  // Waits for nobody.
  ~ReadingApart();
  ReadingApart(const ReadingApart&) = delete;
  ReadingApart& operator=(const ReadingApart&) = delete;

  // What `read` gave there, as bytes. `target` is that process's own copy, whose files are brokered; what it
  // changes is not seen here. `read` must not touch threads of ours, nor write anything.
  //
  // ErrorCodes: internal (it crashed, or could not be made), deadline_passed (it was not done by then).
  Result<std::string> read(Target& target, std::chrono::steady_clock::time_point deadline,
                           const std::function<std::string(Target&)>& read);

 private:
  // One that has sent all and is ending: to wait for its end would take as long as a third of its work, so it
  // is left until the next one is made. 0: none.
  pid_t ending_ = 0;
};

}  // namespace pythreads::attach
