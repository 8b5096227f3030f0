// Where a rendered document goes: piece by piece, as it is made, for as a whole the text of 10,000 threads is
// hundreds of MiB. Pieces end anywhere.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace pythreads::report {

using Sink = std::function<void(std::string_view piece)>;

// As large as they get, but for the last line: few system calls, and no memory to speak of.
inline constexpr std::size_t piece_size = std::size_t{64} << 10;

}  // namespace pythreads::report
