// Names as the source has them: C++ (`_Z…`), Rust's old form (`_ZN…17h<hash>E`, without the hash) and its new
// one
// (`_R…`). A name that is no mangled one, or can't be demangled, comes back as it is.
//
// The name is the target's: a few hundred bytes of it can stand for gigabytes of text (each substitution may
// double what it repeats), so libiberty is asked piece by piece and left when the text grows too long.
// libstdc++'s
// __cxa_demangle can't be left.
#pragma once

#include <string>
#include <string_view>

namespace pythreads::unwinder {

std::string demangle(std::string_view name);

}  // namespace pythreads::unwinder
