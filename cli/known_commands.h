// What the command line knows, as plain values: made from the table that the parser itself reads
// (options.cpp), so that whoever shows or completes it says the same.
#pragma once

#include <string>
#include <vector>

namespace pythreads::cli {

// What an option or a command takes besides its name.
enum class Takes { nothing, word, pid, file };

struct KnownOption {
  std::vector<std::string> names;  // "-o", "--output"
  std::string description;
  Takes takes = Takes::nothing;
  std::vector<std::string> words;  // all that it takes, where that is a fixed list
};

struct KnownCommand {
  std::string name, description;
  Takes takes = Takes::nothing;  // any number of them
  std::vector<KnownOption> options;
};

struct KnownCommands {
  std::vector<KnownCommand> commands;
  std::vector<KnownOption> options;  // of no command
};

KnownCommands known_commands();

}  // namespace pythreads::cli
