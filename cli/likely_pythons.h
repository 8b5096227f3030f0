// Processes that look like a CPython: for who types a pid. By the name of the executable, or of what is
// mapped into them; only files of /proc are read, and what takes longer than a person waits for is left out.
//
// It is a list to choose from and no answer: one that is not in it (fully static in another program, or
// another user's) may be dumped all the same.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace pythreads::cli {

struct LikelyPython {
  pid_t pid = 0;
  std::string command;  // without secrets, cut
};

// By pid. Never ourselves.
std::vector<LikelyPython> list_likely_pythons();

// "/usr/bin/python3.13t": yes; "/usr/bin/pythonista": no.
bool is_python_name(std::string_view path);

// Whether /proc/PID/maps names a libpython or a compiled module.
bool maps_python(std::string_view maps);

}  // namespace pythreads::cli
