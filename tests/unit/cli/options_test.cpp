#include "cli/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace pythreads::cli {
namespace {

std::variant<Options, EarlyEnd> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "pythreads");
  return parse_options(static_cast<int>(words.size()), words.data());
}

Options parsed(std::vector<const char*> words) {
  auto result = parse(std::move(words));
  EXPECT_TRUE(std::holds_alternative<Options>(result)) << std::get<EarlyEnd>(result).text;
  return std::holds_alternative<Options>(result) ? std::get<Options>(result) : Options{};
}

EarlyEnd refused(std::vector<const char*> words) {
  auto result = parse(std::move(words));
  EXPECT_TRUE(std::holds_alternative<EarlyEnd>(result));
  return std::holds_alternative<EarlyEnd>(result) ? std::get<EarlyEnd>(result) : EarlyEnd{};
}

TEST(Options, DefaultsAreStoppedTextRedacted) {
  const Options options = parsed({"dump", "42"});
  EXPECT_EQ(options.command, Command::dump);
  EXPECT_EQ(options.pids, std::vector<pid_t>{42});
  EXPECT_EQ(options.format, Format::text);
  EXPECT_TRUE(options.stop);
  EXPECT_TRUE(options.redact);
  EXPECT_FALSE(options.native);
  EXPECT_FALSE(options.locals);
  EXPECT_EQ(options.deadline, std::chrono::seconds(10));
}

TEST(Options, SeveralPidsAndEveryFlag) {
  const Options options = parsed({"dump", "--json", "--native", "--locals", "--no-redact", "--no-stop",
                                  "--deadline", "500ms", "--pause-budget=2s", "7", "8"});
  EXPECT_EQ(options.pids, (std::vector<pid_t>{7, 8}));
  EXPECT_EQ(options.format, Format::json);
  EXPECT_TRUE(options.native);
  EXPECT_TRUE(options.locals);
  EXPECT_FALSE(options.redact);
  EXPECT_FALSE(options.stop);
  EXPECT_EQ(options.deadline, std::chrono::milliseconds(500));
  EXPECT_EQ(options.pause_budget, std::chrono::seconds(2));
  EXPECT_EQ(options.given, (std::vector<std::string>{"--deadline", "--json", "--locals", "--native",
                                                     "--no-redact", "--no-stop", "--pause-budget"}));
}

TEST(Options, FormatJsonIsJson) {
  EXPECT_EQ(parsed({"dump", "--format", "json", "1"}).format, Format::json);
  EXPECT_EQ(parsed({"show", "--format=json", "a.json"}).format, Format::json);
}

TEST(Options, ShowTakesFilesAndStandardInput) {
  const Options options = parsed({"show", "a.json", "-"});
  EXPECT_EQ(options.command, Command::show);
  EXPECT_EQ(options.files, (std::vector<std::string>{"a.json", "-"}));
}

TEST(Options, GraphAndCheckLookAsDumpDoes) {
  const Options graph = parsed({"graph", "--format", "mermaid", "7"});
  EXPECT_EQ(graph.command, Command::graph);
  EXPECT_EQ(graph.format, Format::mermaid);
  const Options check = parsed({"check", "--fail-on", "critical", "--json", "7", "8"});
  EXPECT_EQ(check.command, Command::check);
  EXPECT_EQ(check.fail_on, FailOn::critical);
  EXPECT_EQ(check.format, Format::json);
  EXPECT_TRUE(parsed({"show", "--graph", "a.json"}).graph);
}

TEST(Options, DoctorTakesOneProcessOrNone) {
  EXPECT_EQ(parsed({"doctor"}).command, Command::doctor);
  EXPECT_TRUE(parsed({"doctor"}).pids.empty());
  EXPECT_EQ(parsed({"doctor", "12"}).pids, std::vector<pid_t>{12});
  EXPECT_EQ(refused({"doctor", "12", "13"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"doctor", "x"}).code, ExitCode::wrong_usage);
}

TEST(Options, WrongUsageOfCheckIsUnknown) {
  EXPECT_EQ(refused({"check"}).code, ExitCode::check_unknown);
  EXPECT_EQ(refused({"check", "--format", "dot", "7"}).code, ExitCode::check_unknown);
  EXPECT_EQ(refused({"check", "--fail-on", "sometimes", "7"}).code, ExitCode::check_unknown);
}

TEST(Options, WrongUsageIs64) {
  EXPECT_EQ(refused({}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "abc"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "0"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "-5"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "99999999999999999999"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "--deadline", "soon", "1"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dump", "--no-such-option", "1"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"dance", "1"}).code, ExitCode::wrong_usage);
}

TEST(Options, WrongUsageKnowsWhetherJsonWasAskedFor) {
  EXPECT_TRUE(refused({"dump", "--json", "abc"}).json);
  EXPECT_TRUE(refused({"dump", "--format", "json", "abc"}).json);
  EXPECT_FALSE(refused({"dump", "abc"}).json);
}

TEST(Options, HelpFitsAScreen) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"--help"},
                                                                 {"dump", "--help"},
                                                                 {"graph", "--help"},
                                                                 {"check", "--help"},
                                                                 {"show", "--help"},
                                                                 {"doctor", "--help"}}) {
    const EarlyEnd help = refused(words);
    EXPECT_EQ(help.code, ExitCode::done);
    EXPECT_LE(std::count(help.text.begin(), help.text.end(), '\n'), 23) << help.text;  // 24, and the prompt
    std::size_t width = 0;
    for (const char letter : help.text) {
      width = letter == '\n' ? 0 : width + 1;
      EXPECT_LE(width, 80U) << help.text;
    }
  }
}

TEST(Options, SamplesAndTheirInterval) {
  EXPECT_EQ(parsed({"dump", "42"}).samples, 1U);
  const Options options = parsed({"dump", "42", "--samples", "5", "--interval", "200ms"});
  EXPECT_EQ(options.samples, 5U);
  EXPECT_EQ(options.interval, std::chrono::milliseconds(200));
  EXPECT_EQ(parsed({"graph", "42", "--samples", "2"}).interval, std::chrono::seconds(1));
  for (const char* wrong : {"0", "-1", "many", "1000001", "5 "}) {
    EXPECT_EQ(refused({"dump", "42", "--samples", wrong}).code, ExitCode::wrong_usage) << wrong;
  }
  EXPECT_EQ(refused({"dump", "42", "--interval", "1s"}).code, ExitCode::wrong_usage);
  EXPECT_EQ(refused({"check", "42", "--samples", "5"}).code, ExitCode::check_unknown);
}

TEST(Options, VersionNamesTheTool) {
  const EarlyEnd version = refused({"--version"});
  EXPECT_EQ(version.code, ExitCode::done);
  EXPECT_TRUE(version.text.starts_with("pythreads ")) << version.text;
}

}  // namespace
}  // namespace pythreads::cli
