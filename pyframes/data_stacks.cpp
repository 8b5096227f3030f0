#include "pyframes/data_stacks.h"

#include <algorithm>
#include <vector>

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

constexpr int most_chunks = 4096;                    // of one thread
constexpr std::uint64_t most_chunk_bytes = 4 << 20;  // of one chunk: larger ones are read frame by frame
constexpr std::uint64_t most_bytes = 256ULL << 20;   // of all threads together

struct Chunk {
  Address address;
  Address top;  // end of what is used; null: the chunk itself says it
};

}  // namespace

void fetch_data_stacks(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  const auto& of = layout.stack_chunk;
  if (!layout.thread_state.datastack_chunk.exists() || !of.data.exists()) return;
  std::vector<Chunk> chunks;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      Address chunk = thread.tstate.pointer(layout.thread_state.datastack_chunk).value_or(Address());
      Address top = thread.tstate.pointer(layout.thread_state.datastack_top).value_or(Address());
      if (!chunk.is_null() && !top.is_null()) chunks.push_back({chunk, top});
    }
  }

  std::uint64_t bytes_left = most_bytes;
  for (int level = 0; level < most_chunks && !chunks.empty(); ++level) {
    std::vector<Range> ranges;
    for (const Chunk& chunk : chunks)
      ranges.push_back({chunk.address, static_cast<std::uint64_t>(of.data.offset)});
    reading.memory.prefetch(ranges);

    ranges.clear();
    std::vector<Chunk> before;
    for (const Chunk& chunk : chunks) {
      Result<StructCopy> header = StructCopy::read(reading.memory, chunk.address, of.data.offset);
      if (!header) continue;
      std::uint64_t size = header->get(of.size).value_or(0);
      Address data = chunk.address + static_cast<std::uint64_t>(of.data.offset);
      std::uint64_t used = header->get(of.top).value_or(0) * 8;
      if (!chunk.top.is_null()) used = chunk.top - data;
      if (size > most_chunk_bytes || used > size || used > bytes_left) continue;
      bytes_left -= used;
      if (used > 0) ranges.push_back({data, used});
      Address previous = header->pointer(of.previous).value_or(Address());
      if (!previous.is_null()) before.push_back({previous, Address()});
    }
    reading.memory.prefetch(ranges);
    chunks = std::move(before);
  }
}

}  // namespace pythreads::pyframes
