// What comes back from the process that decodes: any bytes give facts in which each index is inside of its
// list, and which can be sent again, or an error.
#include "cli/packed_facts.h"

#include <string_view>

#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pythreads;  // NOLINT: one function
  using tests::require;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::size_t threads : {std::size_t{0}, std::size_t{2}}) {
    const attach::Result<cli::FactsRead> facts = cli::unpack(bytes, threads);
    if (!facts) continue;
    require(facts->stacks.size() == threads, "a stack for each thread");
    for (const pyframes::PyInterpreter& interpreter : facts->runtime.interpreters) {
      for (const pyframes::PyThread& thread : interpreter.threads) {
        const std::size_t frames = thread.frames.size();
        for (const auto& each : thread.frame_objects) require(each.frame < frames, "the frame of an object");
        for (const auto& each : thread.pending_calls) require(each.frame < frames, "the frame of a call");
        for (const auto& each : thread.mentions) require(each.frame < frames, "the frame of a mention");
        for (const auto& each : thread.held)
          require(!each.frame || *each.frame < frames, "the frame of a lock");
      }
    }
    const std::string again = cli::pack(*facts);
    const attach::Result<cli::FactsRead> same = cli::unpack(again, threads);
    require(same && cli::pack(*same) == again, "facts come back as they were sent");
  }
  return 0;
}
