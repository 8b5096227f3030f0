#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "cli/duration.h"
#include "cli/known_commands.h"

namespace pythreads::cli {
namespace {

constexpr std::size_t kMostSamples = 1'000'000;

constexpr std::string_view kFooter =
    "Exit codes: 0 done, 64 wrong usage, 65 not Python, 66 no such process,\n"
    "  69 a CPython that can't be read, 70 a fault in pythreads, 74 output failed,\n"
    "  75 deadline passed, 77 not permitted\n"
    "Examples: pythreads dump 4711      pythreads COMMAND --help      man pythreads";
constexpr std::string_view kCheckFooter =
    "Exit codes: 0 OK, 1 warning, 2 critical (a deadlock), 3 unknown; man pythreads";

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
    const char* operands = app->get_name() == "show"     ? "FILE..."
                           : app->get_name() == "doctor" ? "[PID]"
                                                         : "PID...";
    // In its line: there are as many options as a screen has lines.
    const char* where = app->get_footer().empty() ? "   Exit codes, examples: man pythreads\n" : "\n";
    return "Usage: pythreads " + std::move(name) + " [OPTIONS] " + operands + where;
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    if (const std::size_t comma = name.find(','); comma != std::string::npos) name.insert(comma + 1, " ");
    return name;
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : " " + option->get_type_name();
  }
  // The usage line says what a positional would say again.
  std::string make_positionals(const CLI::App* app) const override {
    static_cast<void>(app);
    return "";
  }
};

// The one table of commands and options: what is parsed, told by --help and completed.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void parse(int argc, const char* const* argv) { app_.parse(argc, argv); }
  std::string help() const;
  bool has_command() const { return !app_.get_subcommands().empty(); }
  bool is_check() const { return check_->parsed(); }
  Options options(int argc, const char* const* argv) const;
  KnownCommands known() const;

 private:
  CLI::Option* add_words(CLI::App& command, const std::string& name, std::string& value,
                         const std::string& description, std::vector<std::string> words);
  void add_output(CLI::App& command, const std::vector<std::string>& formats);
  void add_color(CLI::App& command);
  void add_rendering(CLI::App& command);
  void add_looking(CLI::App& command);
  void add_sampling(CLI::App& command);
  std::vector<KnownOption> known_options(const CLI::App& app) const;

  CLI::App app_;
  CLI::App *dump_, *graph_, *check_, *show_, *doctor_;
  std::map<const CLI::Option*, std::vector<std::string>> fixed_words_;
  Options options_;
  // What the parser fills in as words.
  std::string format_ = "text", color_ = "auto", pause_budget_ = "250ms", deadline_ = "10s", interval_ = "1s",
              fail_on_ = "unknown";
  bool json_ = false, no_redact_ = false, no_stop_ = false, no_sandbox_ = false;
};

CommandLine::CommandLine()
    : app_(
          "What every thread of a running CPython is doing, and who waits for which lock.\n"
          "Nothing is written to the process; it is held for some milliseconds.") {
  app_.name("pythreads");
  app_.set_version_flag("--version", "pythreads " PYTHREADS_VERSION, "Print the version and exit");
  app_.set_help_flag("-h,--help", "Print this help and exit");
  app_.require_subcommand(1);
  auto usage = std::make_shared<Usage>();
  usage->column_width(27);
  app_.formatter(std::move(usage));

  dump_ = app_.add_subcommand("dump", "Print every thread of processes, and the verdict");
  add_rendering(*dump_);
  dump_->add_flag("--no-redact", no_redact_, "Show passwords, tokens and the like");
  add_looking(*dump_);
  add_sampling(*dump_);

  graph_ = app_.add_subcommand("graph", "Print who waits for whom, and nothing else");
  add_output(*graph_, {"text", "json", "ndjson", "dot", "mermaid"});
  graph_->add_flag("--full", options_.full, "Every waiter, none counted only");
  add_color(*graph_);
  add_looking(*graph_);
  add_sampling(*graph_);

  check_ = app_.add_subcommand("check", "Print the verdict alone, for monitoring: exit 0 to 3");
  add_output(*check_, {"text", "json"});
  add_words(*check_, "--fail-on", fail_on_, "WORD: lesser exit 0 (unknown)",
            {"critical", "warning", "unknown"})
      ->type_name("LEVEL");
  add_looking(*check_);

  show_ = app_.add_subcommand("show", "Print a saved JSON dump again");
  show_->add_option("FILE", options_.files, "JSON dumps; - is standard input")->required()->type_name("FILE");
  add_rendering(*show_);
  show_->add_flag("--graph", options_.graph, "Who waits for whom, and nothing else");

  doctor_ = app_.add_subcommand("doctor", "Tell whether attaching works, and why it does not");
  doctor_->add_option("PID", options_.pids, "A process id")
      ->expected(0, 1)
      ->check(is_pid())
      ->type_name("PID");

  app_.footer(std::string(kFooter));
  for (CLI::App* command : {dump_, graph_, check_, show_, doctor_}) command->group("Commands");
  check_->footer(std::string(kCheckFooter));
}

// "text, json or dot", in the description's place of WORD.
CLI::Option* CommandLine::add_words(CLI::App& command, const std::string& name, std::string& value,
                                    const std::string& description, std::vector<std::string> words) {
  std::string known;
  for (const std::string& each : words)
    known += (known.empty() ? "" : &each == &words.back() ? " or " : ", ") + each;
  std::string told = description;
  told.replace(told.find("WORD"), 4, known);
  CLI::Option* option = command.add_option(name, value, told)->check(is_one_of(words));
  fixed_words_.emplace(option, std::move(words));
  return option;
}

void CommandLine::add_output(CLI::App& command, const std::vector<std::string>& formats) {
  add_words(command, "--format", format_, "WORD", formats)->type_name("FORMAT");
  command.add_flag("--json", json_, "Short for --format json");
  command.add_option("-o,--output", options_.output, "Write to FILE (whole, then renamed; mode 0600)")
      ->type_name("FILE");
}

void CommandLine::add_color(CLI::App& command) {
  add_words(command, "--color", color_, "WORD", {"auto", "always", "never"})->type_name("WHEN");
}

// Options that a dump is shown by.
void CommandLine::add_rendering(CLI::App& command) {
  add_output(command, {"text", "json", "ndjson", "dot", "mermaid"});
  command.add_flag("--native", options_.native, "Native frames too, and native-only threads' stacks");
  command.add_flag("--locals", options_.locals, "Local variables of each frame; secrets are hidden");
  command.add_flag("--explain", options_.explain, "For each claim, the evidence");
  command.add_flag("--only-blocked", options_.only_blocked, "Only threads that are blocked");
  command.add_flag("--group", options_.group, "Equal stacks once (on by itself from 50 threads)");
  command.add_flag("--full", options_.full, "Every thread and frame, nothing grouped or cut");
  add_color(command);
}

// Options of how a process is looked at.
void CommandLine::add_looking(CLI::App& command) {
  command.add_option("PID", options_.pids, "Process ids")->required()->check(is_pid())->type_name("PID");
  command.add_flag("--no-stop", no_stop_, "Read without stopping it: facts may disagree");
  command.add_option("--pause-budget", pause_budget_, "Hold it no longer than this (250ms)")
      ->check(is_duration())
      ->type_name("DURATION");
  command.add_option("--deadline", deadline_, "End a look by then, with gaps, exit 75 (10s)")
      ->check(is_duration())
      ->type_name("DURATION");
  command.add_flag("--no-sandbox", no_sandbox_, "Decode in this process, not one without rights");
}

// Options of looking more than once.
void CommandLine::add_sampling(CLI::App& command) {
  CLI::Option* samples =
      command.add_option("--samples", options_.samples, "Look N times; tell what has not moved")
          ->check(is_count())
          ->type_name("N");
  command.add_option("--interval", interval_, "From one sample to the next (1s)")
      ->check(is_duration())
      ->needs(samples)
      ->type_name("DURATION");
}

std::string CommandLine::help() const {
  const std::vector<CLI::App*> chosen = app_.get_subcommands();
  return (chosen.empty() ? app_ : *chosen.front()).help();
}

Takes what_is_taken(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return Takes::nothing;
  if (option.get_type_name() == "FILE") return Takes::file;
  return option.get_type_name() == "PID" ? Takes::pid : Takes::word;
}

std::vector<KnownOption> CommandLine::known_options(const CLI::App& app) const {
  std::vector<KnownOption> known;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    KnownOption& each = known.emplace_back();
    for (const std::string& name : option->get_snames()) each.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) each.names.push_back("--" + name);
    each.description = option->get_description();
    each.takes = what_is_taken(*option);
    if (const auto words = fixed_words_.find(option); words != fixed_words_.end()) each.words = words->second;
  }
  return known;
}

KnownCommands CommandLine::known() const {
  KnownCommands known{{}, known_options(app_)};
  for (const CLI::App* command : {dump_, graph_, check_, show_, doctor_}) {
    KnownCommand& each = known.commands.emplace_back();
    each.name = command->get_name();
    each.description = command->get_description();
    each.options = known_options(*command);
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) each.takes = what_is_taken(*option);
    }
  }
  return known;
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

Options CommandLine::options(int argc, const char* const* argv) const {
  Options options = options_;
  options.command = show_->parsed()     ? Command::show
                    : check_->parsed()  ? Command::check
                    : graph_->parsed()  ? Command::graph
                    : doctor_->parsed() ? Command::doctor
                                        : Command::dump;
  options.format = json_ || format_ == "json" ? Format::json
                   : format_ == "ndjson"      ? Format::ndjson
                   : format_ == "dot"         ? Format::dot
                   : format_ == "mermaid"     ? Format::mermaid
                                              : Format::text;
  options.color = color_ == "always"  ? ColorMode::always
                  : color_ == "never" ? ColorMode::never
                                      : ColorMode::automatic;
  options.fail_on = fail_on_ == "critical"  ? FailOn::critical
                    : fail_on_ == "warning" ? FailOn::warning
                                            : FailOn::unknown;
  options.redact = !no_redact_;
  options.stop = !no_stop_;
  options.sandbox = !no_sandbox_;
  options.pause_budget = parse_duration(pause_budget_).value_or(options.pause_budget);
  options.deadline = parse_duration(deadline_).value_or(options.deadline);
  options.interval = parse_duration(interval_).value_or(options.interval);
  options.given = given_options(argc, argv);
  return options;
}

std::variant<Options, EarlyEnd> parse_with_cli11(int argc, const char* const* argv) {
  CommandLine line;
  try {
    line.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return EarlyEnd{ExitCode::done, line.help(), false};
  } catch (const CLI::CallForVersion& version) {
    return EarlyEnd{ExitCode::done, std::string(version.what()) + "\n", false};
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    if (!line.has_command()) {
      text = argc < 2 ? "a command is needed" : "'" + std::string(argv[1]) + "' is no command";
      text += ": try pythreads dump PID, or pythreads --help";
    }
    // A monitoring agent knows four codes, and wrong usage is none of the three that say something.
    const ExitCode code = line.is_check() ? ExitCode::check_unknown : ExitCode::wrong_usage;
    return EarlyEnd{code, text, asks_for_json(argc, argv)};
  }
  return line.options(argc, argv);
}

}  // namespace

std::variant<Options, EarlyEnd> parse_options(int argc, const char* const* argv) {
  try {
    return parse_with_cli11(argc, argv);
  } catch (const std::exception& error) {
    return EarlyEnd{ExitCode::internal, std::string("the command line could not be read: ") + error.what(),
                    asks_for_json(argc, argv)};
  }
}

KnownCommands known_commands() {
  return CommandLine().known();
}

}  // namespace pythreads::cli
