// The target's seccomp filters: a program that the kernel would not have loaded has no answer, and none runs
// on.
#include <cstring>
#include <vector>

#include "attach/seccomp_filter.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads::attach;  // NOLINT: one function
  std::vector<sock_filter> program(size / sizeof(sock_filter));
  if (!program.empty()) std::memcpy(program.data(), data, program.size() * sizeof(sock_filter));
  const FilterAnswer one = run_filter(program, 219), other = run_filter(program, 0);
  pythreads::tests::require(!program.empty() || !one, "no program says nothing");
  const FilterAnswer both = combine(one, other);
  pythreads::tests::require(!one || lets_pass(*one) || !both || !lets_pass(*both),
                            "who is denied stays denied");
  return 0;
}
