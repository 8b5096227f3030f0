// What the terminals are that we write to.
#pragma once

#include <cstddef>

namespace pythreads::cli {

// A terminal that obeys escape sequences.
bool is_capable_terminal(int descriptor);

// Its columns: COLUMNS where that is a number, else what the kernel knows of it. 0: it is no terminal.
std::size_t terminal_width(int descriptor);

}  // namespace pythreads::cli
