// Durations as they are written on the command line: "500ms", "2s", "1m"; nothing else.
#pragma once

#include <chrono>
#include <string_view>

#include "attach/result.h"

namespace pythreads::cli {

attach::Result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace pythreads::cli
