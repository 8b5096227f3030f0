// The command line as a plain value. CLI11 stays inside options.cpp; what it throws stays there too.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "cli/check_judgement.h"
#include "cli/exit_code.h"

namespace pythreads::cli {

enum class Command { dump, graph, check, show, doctor };
enum class Format { text, json, ndjson, dot, mermaid };
enum class ColorMode { automatic, always, never };

struct Options {
  Command command = Command::dump;
  std::vector<pid_t> pids;         // dump
  std::vector<std::string> files;  // show; "-" is standard input
  Format format = Format::text;
  std::string output;  // empty: standard output
  bool native = false;
  bool locals = false;
  bool explain = false;
  bool full = false;
  bool group = false;
  bool graph = false;  // show: the graph, as text
  bool only_blocked = false;
  bool redact = true;
  bool stop = true;
  bool sandbox = true;  // what is read after the stop is read in a process of its own (attach/read_apart.h)
  FailOn fail_on = FailOn::unknown;  // check
  ColorMode color = ColorMode::automatic;
  std::size_t samples = 1;  // dump, graph: so many looks, `interval` from begin to begin
  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds pause_budget{250};
  std::chrono::milliseconds deadline{10'000};
  std::vector<std::string> given;  // the options as given, for source.options
};

// What to print and with which code to end when there is nothing to run: --help, --version, wrong usage.
struct EarlyEnd {
  ExitCode code = ExitCode::done;
  std::string text;
  bool json = false;  // wrong usage, and JSON was asked for: the error is also due on standard output
};

std::variant<Options, EarlyEnd> parse_options(int argc, const char* const* argv);

}  // namespace pythreads::cli
