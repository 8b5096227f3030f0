#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

namespace pythreads::cli {
namespace {

constexpr std::size_t kMostSamples = 1'000'000;

constexpr std::string_view kFooter =
    "Exit codes: 0 done, 64 wrong usage, 65 not Python, 66 no such process, 69 unsupported CPython,\n"
    "            74 output failed, 75 deadline passed, 77 not permitted. check: 0 OK, 1 warning,\n"
    "            2 critical (a deadlock), 3 unknown. See pythreads(1).";

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

CLI::Validator is_count() {
  return CLI::Validator(
      [](std::string& text) {
        std::size_t number = 0;
        const char* end = text.data() + text.size();
        const auto [stop, failed] = std::from_chars(text.data(), end, number);
        const bool valid = failed == std::errc() && stop == end && number > 0 && number <= kMostSamples;
        return valid ? std::string()
                     : "'" + text + "' is no number from 1 to " + std::to_string(kMostSamples);
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
    const bool is_show = app->get_name() == "show";
    return "Usage: pythreads " + std::move(name) + " [OPTIONS] " + (is_show ? "FILE...\n" : "PID...\n");
  }
  // The usage line says what a positional would say again.
  std::string make_positionals(const CLI::App* app) const override {
    static_cast<void>(app);
    return "";
  }
};

// What the parser fills in as words.
struct Words {
  std::string format = "text", color = "auto", pause_budget = "250ms", deadline = "10s", interval = "1s",
              fail_on = "unknown";
  bool json = false, no_redact = false, no_stop = false;
};

void add_output(CLI::App& command, Options& options, Words& words, const std::vector<std::string>& formats) {
  std::string known;
  for (const std::string& each : formats)
    known += (known.empty() ? "" : &each == &formats.back() ? " or " : ", ") + each;
  command.add_option("--format", words.format, known)->check(is_one_of(formats))->type_name("FORMAT");
  command.add_flag("--json", words.json, "Short for --format json");
  command.add_option("-o,--output", options.output, "Write to FILE (whole, then renamed; mode 0600)")
      ->type_name("FILE");
}

void add_color(CLI::App& command, Words& words) {
  command.add_option("--color", words.color, "auto, always or never")
      ->check(is_one_of({"auto", "always", "never"}))
      ->type_name("WHEN");
}

// Options that a dump is shown by.
void add_rendering(CLI::App& command, Options& options, Words& words) {
  add_output(command, options, words, {"text", "json", "dot", "mermaid"});
  command.add_flag("--native", options.native, "Native frames too, and native-only threads' stacks");
  command.add_flag("--locals", options.locals, "Local variables of each frame; secrets are redacted");
  command.add_flag("--explain", options.explain, "For each claim, the evidence");
  command.add_flag("--only-blocked", options.only_blocked, "Only threads that are blocked");
  command.add_flag("--group", options.group, "Equal stacks once (on by itself from 50 threads)");
  command.add_flag("--full", options.full, "Every thread and frame, nothing grouped or cut");
  add_color(command, words);
}

// Options of how a process is looked at.
void add_looking(CLI::App& command, Options& options, Words& words) {
  command.add_option("PID", options.pids, "Process ids")->required()->check(is_pid())->type_name("PID");
  command.add_flag("--no-stop", words.no_stop, "Read without stopping it: facts may disagree");
  command.add_option("--pause-budget", words.pause_budget, "Hold it no longer than this (250ms)")
      ->check(is_duration())
      ->type_name("DURATION");
  command
      .add_option("--deadline", words.deadline, "Be done with a look by then, else gaps and exit 75 (10s)")
      ->check(is_duration())
      ->type_name("DURATION");
}

// Options of looking more than once.
void add_sampling(CLI::App& command, Options& options, Words& words) {
  CLI::Option* samples =
      command.add_option("--samples", options.samples, "Look N times; tell what has not moved")
          ->check(is_count())
          ->type_name("N");
  command.add_option("--interval", words.interval, "From one sample to the next (1s)")
      ->check(is_duration())
      ->needs(samples)
      ->type_name("DURATION");
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
  Words words;

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
  add_rendering(*dump, options, words);
  dump->add_flag("--no-redact", words.no_redact, "Show passwords, tokens and the like");
  add_looking(*dump, options, words);
  add_sampling(*dump, options, words);

  CLI::App* graph = app.add_subcommand("graph", "Print who waits for whom, and nothing else");
  add_output(*graph, options, words, {"text", "json", "dot", "mermaid"});
  graph->add_flag("--full", options.full, "Every waiter, none counted only");
  add_color(*graph, words);
  add_looking(*graph, options, words);
  add_sampling(*graph, options, words);

  CLI::App* check =
      app.add_subcommand("check", "Print the verdict alone, for a monitoring agent: exit 0 to 3");
  add_output(*check, options, words, {"text", "json"});
  check
      ->add_option("--fail-on", words.fail_on,
                   "critical, warning or unknown: lesser results exit 0 (unknown)")
      ->check(is_one_of({"critical", "warning", "unknown"}))
      ->type_name("LEVEL");
  add_looking(*check, options, words);

  CLI::App* show = app.add_subcommand("show", "Print a saved JSON dump again");
  show->add_option("FILE", options.files, "JSON dumps; - is standard input")->required()->type_name("");
  add_rendering(*show, options, words);
  show->add_flag("--graph", options.graph, "Who waits for whom, and nothing else");

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    return EarlyEnd{ExitCode::done, (chosen.empty() ? &app : chosen.front())->help(), false};
  } catch (const CLI::CallForVersion& version) {
    return EarlyEnd{ExitCode::done, std::string(version.what()) + "\n", false};
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    if (app.get_subcommands().empty()) {
      text = argc < 2 ? "a command is needed" : "'" + std::string(argv[1]) + "' is no command";
      text += ": try pythreads dump PID, or pythreads --help";
    }
    // A monitoring agent knows four codes, and wrong usage is none of the three that say something.
    const ExitCode code = check->parsed() ? ExitCode::check_unknown : ExitCode::wrong_usage;
    return EarlyEnd{code, text, asks_for_json(argc, argv)};
  }

  options.command = show->parsed()    ? Command::show
                    : check->parsed() ? Command::check
                    : graph->parsed() ? Command::graph
                                      : Command::dump;
  options.format = words.json || words.format == "json" ? Format::json
                   : words.format == "dot"              ? Format::dot
                   : words.format == "mermaid"          ? Format::mermaid
                                                        : Format::text;
  options.color = words.color == "always"  ? ColorMode::always
                  : words.color == "never" ? ColorMode::never
                                           : ColorMode::automatic;
  options.fail_on = words.fail_on == "critical"  ? FailOn::critical
                    : words.fail_on == "warning" ? FailOn::warning
                                                 : FailOn::unknown;
  options.redact = !words.no_redact;
  options.stop = !words.no_stop;
  options.pause_budget = parse_duration(words.pause_budget).value_or(options.pause_budget);
  options.deadline = parse_duration(words.deadline).value_or(options.deadline);
  options.interval = parse_duration(words.interval).value_or(options.interval);
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
