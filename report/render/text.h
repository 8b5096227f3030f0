// The document for a person, in faulthandler's grammar (CPython's Python/traceback.c, Doc/library/
// faulthandler.rst), so that what reads its tracebacks reads ours: a `Thread 0x…` line, a `  File "…", line N
// in F` line for each frame. Native frames are written as CPython 3.14 writes those of its C stack,
// `  Binary file "…", at symbol+0x… [0x…]`. Everything else stands on lines that begin in another way.
//
// First the verdict and its cycle in sentences, then the threads in it, then the others. Names, paths and
// values come from the target: what a terminal would obey is escaped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "report/document.h"
#include "report/render/sink.h"

namespace pythreads::report {

struct Style {
  bool color = false;
  bool native = false;        // native frames, where the document has them
  bool locals = false;        // locals, where the document has them
  bool explain = false;       // the evidence of each claim
  bool full = false;          // no stack is cut, no threads are grouped
  bool group = false;         // group equal stacks below 50 threads too
  bool only_blocked = false;  // only threads that can't go on by themselves
  // Columns of the terminal; 0: it is none, and lines are as long as they are. Sentences are broken to fit,
  // and of a frame's path the end is shown (not with `full`); faulthandler's lines stay one line each.
  std::size_t width = 0;
};

void write_text(const Document& document, const Style& style, const Sink& sink);
std::string render_text(const Document& document, const Style& style);

// Text as it is safe on a terminal: control characters, line separators and characters that turn the
// direction of writing become \n, \x1b, \u202e.
std::string escaped(std::string_view text);

}  // namespace pythreads::report
