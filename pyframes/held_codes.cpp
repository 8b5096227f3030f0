#include "pyframes/held_codes.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <unordered_set>
#include <vector>

#include "pyframes/code.h"
#include "pyframes/objects.h"
#include "pyframes/reading.h"

namespace pythreads::pyframes {
namespace {

using attach::Address;
using attach::Range;
using attach::Result;

// The head of a str or bytes, and the whole of most.
constexpr std::uint64_t text_bytes = 256;
constexpr std::size_t max_line_table = 1 << 20;  // as code.cpp reads it

struct Parts {
  Address name, file, qualified_name, line_table;
};

}  // namespace

void fetch_codes(Reading& reading, const RuntimeCopy& copy) {
  const RuntimeLayout& layout = reading.layout();
  std::unordered_set<Address> used;
  for (const InterpreterCopy& interpreter : copy.interpreters) {
    for (const ThreadCopy& thread : interpreter.threads) {
      for (const FrameCopy& frame : thread.frames) used.insert(frame.code);
    }
  }
  for (const auto& [address, known] : reading.codes) used.insert(address);

  std::vector<Range> wave;
  const auto size = static_cast<std::uint64_t>(std::max(layout.code.size, 0));
  for (const Address address : used) wave.push_back({address, size});
  reading.memory.prefetch(wave);

  wave.clear();
  std::vector<Parts> all;
  for (const Address address : used) {
    const Result<bool> right = is_code(reading, address);
    if (!right || !*right) continue;
    const Result<StructCopy> code = StructCopy::read(reading.memory, address, layout.code.size);
    if (!code) continue;
    const Parts parts{code->pointer(layout.code.co_name).value_or(Address()),
                      code->pointer(layout.code.co_filename).value_or(Address()),
                      code->pointer(layout.code.co_qualname).value_or(Address()),
                      code->pointer(layout.code.co_linetable).value_or(Address())};
    for (const Address part : {parts.name, parts.file, parts.qualified_name, parts.line_table}) {
      if (!part.is_null()) wave.push_back({part, text_bytes});
    }
    all.push_back(parts);
  }
  reading.memory.prefetch(wave);
  for (const Parts& parts : all) {
    static_cast<void>(read_str(layout, reading.memory, parts.name, max_name_length));
    static_cast<void>(read_str(layout, reading.memory, parts.file, max_path_length));
    if (!parts.qualified_name.is_null())
      static_cast<void>(read_str(layout, reading.memory, parts.qualified_name, max_name_length));
    static_cast<void>(read_bytes(layout, reading.memory, parts.line_table, max_line_table));
  }
  // So that the walk while held knows which ones the rehearsal met.
  for (const Address address : used) static_cast<void>(read_code(reading, address));
}

}  // namespace pythreads::pyframes
