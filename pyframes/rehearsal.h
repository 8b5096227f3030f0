// What a walk over the running target found, moments before the stop. Its pages are then read at once while
// the target is held; what is left to do there is to look which threads have moved since, and to walk those
// alone.
//
// A thread has not moved when its thread state, its frames, the top of its C stack and the futex that it
// sleeps on are as they were, byte by byte. That decides what is touched and nothing else: every fact is read
// from the stop's pages. If a thread did move and came back to look the same, the worst is something that was
// not read.
//
// Nothing here is believed after the release: what the target's addresses meant before the stop (a code
// object, a type) may have been freed and made anew.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "attach/address.h"
#include "attach/target.h"
#include "pyframes/python_state.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

class Rehearsal {
 public:
  // REQUIRES: `copy` was made by `reading`, of a running target; `state` has its lock waits.
  Rehearsal(Reading&& reading, RuntimeCopy&& copy, const PyRuntimeState& state);

  // What was learned of code objects and types, for the walk while held, which only touches. Once.
  void give_facts(Reading& held);

  // Whether threading's tables of threads are as they were; `copy` is of all interpreters.
  bool knows_names(Reading& held, const RuntimeCopy& copy) const;

  // Takes the threads that have not moved out of `copy`.
  void leave_out_unmoved(Reading& held, RuntimeCopy& copy) const;

  // Whether somebody waits for a lock that nobody waited for: who holds it may be a thread that was left out.
  bool is_news(const PyRuntimeState& state) const;

 private:
  // Frames that lie close together, with what is between them: bytes of `frame_bytes_`.
  struct Frames {
    attach::Address at;
    std::size_t begin = 0, size = 0;
  };
  struct Thread {
    StructCopy tstate;
    std::vector<Frames> frames;
    bool whole = false;  // its chain of frames was read to the end
    pid_t tid = 0;       // 0: none was matched
    std::optional<attach::Address> sp, futex;
    std::vector<std::byte> stack_top;
  };

  std::optional<std::vector<Frames>> remember(Reading& reading, const std::vector<FrameCopy>& frames);
  bool has_moved(Reading& held, const Thread& before, const ThreadCopy& now) const;

  LastingFacts facts_;
  std::unordered_map<attach::Address, Thread> threads_;  // by thread state
  std::vector<std::byte> frame_bytes_;                   // of all threads: compared one after another
  std::unordered_set<attach::Address> waited_for_;
  std::vector<std::byte> name_tables_;
};

}  // namespace pythreads::pyframes
