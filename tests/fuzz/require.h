// What a parser promises of every input; a broken promise is a crash, which a fuzzer keeps the input of.
#pragma once

#include <cstdlib>
#include <iostream>

namespace pythreads::tests {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

}  // namespace pythreads::tests
