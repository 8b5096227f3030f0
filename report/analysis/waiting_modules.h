// The modules of the standard library whose frames say how a thread waits, and not what the program was
// about: where a sentence names a place, it names the first frame that is of none of them.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace pythreads::report {

inline constexpr std::array<std::string_view, 12> waiting_modules{"threading",
                                                                  "queue",
                                                                  "concurrent.futures",
                                                                  "importlib",
                                                                  "_frozen_importlib",
                                                                  "selectors",
                                                                  "contextlib",
                                                                  "asyncio",
                                                                  "multiprocessing",
                                                                  "socket",
                                                                  "ssl",
                                                                  "subprocess"};

// Their submodules as well.
constexpr bool is_waiting_module(std::string_view module) {
  return std::any_of(waiting_modules.begin(), waiting_modules.end(), [&](std::string_view each) {
    return module.starts_with(each) && (module.size() == each.size() || module[each.size()] == '.');
  });
}

}  // namespace pythreads::report
