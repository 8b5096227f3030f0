// A short name for a cause that is the same for the same hang on another host, in another run and after a
// release that moved lines: made from the cause's kind and, around the cycle from a canonical start, wait
// kinds, lock names, modules and qualified functions. Lines, paths, idents, thread names and counts are left
// out, and so are the threads that are only stuck behind.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pythreads::report {

struct CauseLink {
  std::string wait_kind;
  std::string lock_name;  // empty: none was found
  std::string module;     // of the function that waits
  std::string function;   // qualified
  auto operator<=>(const CauseLink&) const = default;
};

// "fp1:" and 16 hex digits. The same for each rotation of `links`; where they have no order, sort them first.
std::string fingerprint(std::string_view cause_kind, std::span<const CauseLink> links);

}  // namespace pythreads::report
