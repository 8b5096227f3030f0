// The modules of the standard library that are made of locks: what stands in their frames and objects is a
// part of something that has a name in the program, and a lock that they acquire is seldom one that they
// keep.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace pythreads::pyframes {

inline constexpr std::array<std::string_view, 14> library_modules{"threading",
                                                                  "queue",
                                                                  "concurrent.futures",
                                                                  "importlib",
                                                                  "_frozen_importlib",
                                                                  "contextlib",
                                                                  "logging",
                                                                  "_threading_local",
                                                                  "multiprocessing",
                                                                  "_thread",
                                                                  "asyncio",
                                                                  "_queue",
                                                                  "_io",
                                                                  "weakref"};

// Of a module or of what is in it, submodules too: "threading", "threading.Condition".
constexpr bool is_library_module(std::string_view qualified) {
  return std::any_of(library_modules.begin(), library_modules.end(), [&](std::string_view module) {
    return qualified.starts_with(module) &&
           (qualified.size() == module.size() || qualified[module.size()] == '.');
  });
}

}  // namespace pythreads::pyframes
