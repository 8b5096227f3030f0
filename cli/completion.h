// What may stand next on a command line that is being typed: pythreads __complete WORD…
//
// The shells' own scripts (completions/) are thin: they hand over the words that are there, the last of which
// is being typed and may be empty, and show the lines that come back: a word, a tab, what it means. A line of
// ":files" says that a file's name fits. bash cuts words at '=' (COMP_WORDBREAKS) and is answered with what
// follows it; the other shells don't, and are answered with the whole word.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/known_commands.h"

namespace pythreads::cli {

struct Suggestion {
  std::string word, description;
  bool operator==(const Suggestion&) const = default;
};

struct Completion {
  std::vector<Suggestion> suggestions;
  bool files = false;
  bool pids = false;                // of Python processes
  std::vector<std::string> before;  // operands that stand there already
};

// Whether the command line asks for completions: a word of ours that nobody types.
bool asks_for_completion(int argc, const char* const* argv);

Completion complete(const KnownCommands& known, const std::vector<std::string>& words);

// Prints the lines for the shell, processes included.
ExitCode run_completion(int argc, const char* const* argv);

}  // namespace pythreads::cli
