// A command line as it is named in a sentence: on one line, without secrets, cut.
#pragma once

#include <string>
#include <vector>

namespace pythreads::cli {

// Empty for an empty one.
std::string spoken_command(const std::vector<std::string>& command);

}  // namespace pythreads::cli
