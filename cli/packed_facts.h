// `FactsRead` as bytes, from the process that read them to the one that tells them. The bytes are not
// believed: what made them had read what others made. `unpack` gives facts in which each enumerator is one
// and each index of a frame is inside of its list (an entry that names another frame is left out), or an
// error (internal).
//
// Both processes are one program, so there is no version and numbers are as the machine has them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "attach/result.h"
#include "cli/facts_read.h"

namespace pythreads::cli {

std::string pack(const FactsRead& facts);

// `threads`: how many stacks there must be.
attach::Result<FactsRead> unpack(std::string_view bytes, std::size_t threads);

}  // namespace pythreads::cli
