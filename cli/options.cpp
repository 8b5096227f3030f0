#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

namespace pythreads::cli {
namespace {

constexpr std::string_view kFooter =
    "Exit codes: 0 done, 64 wrong usage, 65 not Python, 66 no such process, 69 unsupported CPython,\n"
    "            74 output failed, 75 deadline passed, 77 not permitted. See pythreads(1).";

attach::Error wrong_duration(std::string_view text) {
  return {attach::ErrorCode::wrong_usage,
          "'" + std::string(text) + "' is no duration: a number and ms, s or m, such as 500ms or 2s", ""};
}

CLI::Validator is_duration() {
  return CLI::Validator(
      [](std::string& text) {
        attach::Result<std::chrono::milliseconds> parsed = parse_duration(text);
        return parsed ? std::string() : parsed.error().message;
      },
      "");
}

CLI::Validator is_pid() {
  return CLI::Validator(
      [](std::string& text) {
        pid_t pid = 0;
        const char* end = text.data() + text.size();
        const auto [stop, failed] = std::from_chars(text.data(), end, pid);
        const bool valid = failed == std::errc() && stop == end && pid > 0;
        return valid ? std::string() : "'" + text + "' is no process id";
      },
      "");
}

CLI::Validator is_one_of(std::vector<std::string> words) {
  return CLI::Validator(
      [words = std::move(words)](std::string& text) {
        if (std::find(words.begin(), words.end(), text) != words.end()) return std::string();
        std::string message = "'" + text + "' is none of";
        for (const std::string& word : words) message += " " + word;
        return message;
      },
      "");
}

// CLI11 names a subcommand by its own name alone, which can't be pasted into a shell.
class Usage : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_parent() == nullptr) return "Usage: pythreads COMMAND [OPTIONS] ...\n";
    const bool is_dump = app->get_name() == "dump";
    return "Usage: pythreads " + std::move(name) + " [OPTIONS] " + (is_dump ? "PID...\n" : "FILE...\n");
  }
  // The usage line says what a positional would say again.
  std::string make_positionals(const CLI::App* app) const override {
    static_cast<void>(app);
    return "";
  }
};

// Options that both commands show their result by.
void add_rendering(CLI::App& command, Options& options, std::string& format, bool& json, std::string& color) {
  command.add_option("--format", format, "text or json")
      ->check(is_one_of({"text", "json"}))
      ->type_name("FORMAT");
  command.add_flag("--json", json, "Short for --format json");
  command.add_option("-o,--output", options.output, "Write to FILE (whole, then renamed; mode 0600)")
      ->type_name("FILE");
  command.add_flag("--native", options.native, "Native frames too, and native-only threads' stacks");
  command.add_flag("--locals", options.locals, "Local variables of each frame; secrets are redacted");
  command.add_flag("--explain", options.explain, "For each claim, the evidence");
  command.add_flag("--only-blocked", options.only_blocked, "Only threads that are blocked");
  command.add_flag("--group", options.group, "Equal stacks once (on by itself from 50 threads)");
  command.add_flag("--full", options.full, "Every thread and frame, nothing grouped or cut");
  command.add_option("--color", color, "auto, always or never")
      ->check(is_one_of({"auto", "always", "never"}))
      ->type_name("WHEN");
}

// CLI11 keeps no list of what was given; source.options wants it, so that a reader knows what was not asked
// for.
std::vector<std::string> given_options(int argc, const char* const* argv) {
  std::vector<std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") break;
    if (word.starts_with("--")) given.emplace_back(word.substr(0, word.find('=')));
  }
  std::sort(given.begin(), given.end());
  given.erase(std::unique(given.begin(), given.end()), given.end());
  return given;
}

bool asks_for_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--json" || word == "--format=json") return true;
    if (word == "--format" && i + 1 < argc && std::string_view(argv[i + 1]) == "json") return true;
  }
  return false;
}

std::variant<Options, EarlyEnd> parse_with_cli11(int argc, const char* const* argv) {
  Options options;
  std::string format = "text";
  std::string color = "auto";
  std::string pause_budget = "1s";
  std::string deadline = "10s";
  bool json = false;
  bool no_redact = false;
  bool no_stop = false;

  CLI::App app{
      "What every thread of a running CPython is doing: stacks, GIL, who waits for which lock.\n"
      "Nothing is written to the process and no code runs in it; it is held for some milliseconds."};
  app.name("pythreads");
  app.set_version_flag("--version", "pythreads " PYTHREADS_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer(std::string(kFooter));
  auto usage = std::make_shared<Usage>();
  usage->column_width(28);
  usage->label("Subcommands", "Commands");
  app.formatter(std::move(usage));

  CLI::App* dump = app.add_subcommand("dump", "Print every thread of running processes, and the verdict");
  dump->add_option("PID", options.pids, "Process ids")->required()->check(is_pid())->type_name("PID");
  add_rendering(*dump, options, format, json, color);
  dump->add_flag("--no-redact", no_redact, "Show passwords, tokens and the like");
  dump->add_flag("--no-stop", no_stop, "Read without stopping it: facts may disagree");
  dump->add_option("--pause-budget", pause_budget, "Hold it no longer than this (1s)")
      ->check(is_duration())
      ->type_name("DURATION");
  dump->add_option("--deadline", deadline, "Be done by then, with gaps and exit 75 (10s)")
      ->check(is_duration())
      ->type_name("DURATION");

  CLI::App* show = app.add_subcommand("show", "Print a saved JSON dump again");
  show->add_option("FILE", options.files, "JSON dumps; - is standard input")->required()->type_name("");
  add_rendering(*show, options, format, json, color);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    CLI::App* chosen = dump->parsed() ? dump : show->parsed() ? show : &app;
    return EarlyEnd{ExitCode::done, chosen->help(), false};
  } catch (const CLI::CallForVersion& version) {
    return EarlyEnd{ExitCode::done, std::string(version.what()) + "\n", false};
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    if (!dump->parsed() && !show->parsed()) {
      text = argc < 2 ? "a command is needed" : "'" + std::string(argv[1]) + "' is no command";
      text += ": try pythreads dump PID, or pythreads --help";
    }
    return EarlyEnd{ExitCode::wrong_usage, text, asks_for_json(argc, argv)};
  }

  options.command = show->parsed() ? Command::show : Command::dump;
  options.format = json || format == "json" ? Format::json : Format::text;
  options.color = color == "always"  ? ColorMode::always
                  : color == "never" ? ColorMode::never
                                     : ColorMode::automatic;
  options.redact = !no_redact;
  options.stop = !no_stop;
  options.pause_budget = parse_duration(pause_budget).value_or(options.pause_budget);
  options.deadline = parse_duration(deadline).value_or(options.deadline);
  options.given = given_options(argc, argv);
  return options;
}

}  // namespace

attach::Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    long milliseconds;
  };
  constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}};
  constexpr long kLongest = 24L * 60 * 60 * 1000;

  long number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || number < 0 || number > kLongest) return wrong_duration(text);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : kUnits) {
    if (unit == known.name && number <= kLongest / known.milliseconds) {
      return std::chrono::milliseconds(number * known.milliseconds);
    }
  }
  return wrong_duration(text);
}

std::variant<Options, EarlyEnd> parse_options(int argc, const char* const* argv) {
  try {
    return parse_with_cli11(argc, argv);
  } catch (const std::exception& error) {
    return EarlyEnd{ExitCode::internal, std::string("the command line could not be read: ") + error.what(),
                    asks_for_json(argc, argv)};
  }
}

}  // namespace pythreads::cli
