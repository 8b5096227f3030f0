// The `with` blocks that are open in a frame, and the manager of each: what the interpreter itself would
// unwind.
//
// To 3.10 the frame's block stack has a block for each, whose handler begins with WITH_EXCEPT_START (to 3.8:
// WITH_CLEANUP_START), and `__exit__` lies below the block's level. From 3.11 on the exception table tells
// the handler of the instruction that the frame is at; if it is a with's, `__exit__` lies below the handler's
// depth; the handler itself may be covered by the next outer one, and so outwards. A block is there only
// after `__enter__` has returned: a thread that waits in `with lock:` does not have it open. Sources:
// Python/ceval.c at v3.6.0 to v3.10.0, Objects/exception_handling_notes.txt at v3.11.0, Python/codegen.c
// (codegen_with_inner) at v3.14.0.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attach/address.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {

struct OpenWith {
  attach::Address manager;   // the object whose __exit__ will be called
  std::int64_t begin = 0;    // offset in bytes of the block in the code, …
  std::int64_t handler = 0;  // … and of its handler
  int line = 0;              // of the `with`; 0: not known, or not looked up while the target is held
  // From 3.11 on: above `__exit__` lies what the interpreter pushes there when an exception of the current
  // instruction goes to the block's handler, which has then perhaps run already.
  bool passed = false;
};

// co_exceptiontable (3.11 on); null: it can't be read, or there is none in this version. Kept for the look.
std::shared_ptr<const ExceptionTable> exception_table_of(Reading& reading, attach::Address code);

// The handlers of what the frame is inside of, innermost first, whatever begins them: of `with`, `try …
// except` and `try … finally`. Offsets in bytes.
std::vector<std::int64_t> open_handlers(Reading& reading, const FrameCopy& frame);

// Whether open_with_blocks may find any, without a look at what the frame refers to.
bool may_have_with_blocks(Reading& reading, const FrameCopy& frame);

// While held: touches the managers of these frames' blocks, in two waves.
void fetch_managers(Reading& reading, const std::vector<const FrameCopy*>& frames);

// Innermost first. What can't be read is left out: a block that is missed is not a claim.
std::vector<OpenWith> open_with_blocks(Reading& reading, const FrameCopy& frame);

// The blocks that the frame is about to begin: their `__enter__` has been called, or is being called.
std::vector<OpenWith> entered_with_blocks(Reading& reading, const FrameCopy& frame);

}  // namespace pythreads::pyframes
