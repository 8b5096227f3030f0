// The exception table of a code object: any bytes give a table, sorted, whose entries cover something.
#include "pyframes/exception_table.h"

#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads::pyframes;  // NOLINT: one function
  using pythreads::tests::require;
  const ExceptionTable table = parse_exception_table(std::span(data, size));
  require(table.size() <= size, "no more entries than bytes");
  for (std::size_t i = 0; i < table.size(); ++i) {
    const ExceptionEntry& entry = table[i];
    require(entry.begin >= 0 && entry.begin <= entry.end, "an entry goes forward");
    require(i == 0 || table[i - 1].begin <= entry.begin, "entries are sorted");
    const std::int64_t first = find_first_covered(table, entry.handler.target);
    require(first <= entry.begin, "nothing that it covers stands before the first");
  }
  for (std::int64_t instruction : {std::int64_t{-2}, std::int64_t{0}, std::int64_t{2}, std::int64_t{64},
                                   static_cast<std::int64_t>(size), INT64_MAX, INT64_MIN}) {
    const auto handler = find_handler(table, instruction);
    bool covered = false;
    for (const ExceptionEntry& entry : table)
      covered = covered || (entry.begin <= instruction && instruction < entry.end);
    require(!handler || covered, "a handler covers its instruction");
  }
  return 0;
}
