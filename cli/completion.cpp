#include "cli/completion.h"

#include <algorithm>
#include <string_view>

#include "cli/likely_pythons.h"
#include "cli/output.h"
#include "report/render/text.h"

namespace pythreads::cli {
namespace {

constexpr std::string_view kAsk = "__complete";

const KnownOption* find_option(const std::vector<KnownOption>& options, std::string_view name) {
  for (const KnownOption& option : options) {
    if (std::ranges::find(option.names, name) != option.names.end()) return &option;
  }
  return nullptr;
}

class Completing {
 public:
  Completing(const KnownCommands& known, const std::vector<std::string>& words)
      : known_(known), words_(words), typed_(words.empty() ? "" : words.back()) {}

  Completion complete() {
    const std::size_t last = words_.empty() ? 0 : words_.size() - 1;
    const KnownCommand* command = nullptr;
    if (last > 0) {
      const auto found = std::ranges::find(known_.commands, words_[0], &KnownCommand::name);
      if (found == known_.commands.end()) return {};
      command = &*found;
    }
    const std::vector<KnownOption>& options = command != nullptr ? command->options : known_.options;
    const KnownOption* waiting = read_words(options, last);
    if (waiting != nullptr) {
      add_value(*waiting, "");
    } else if (!only_operands_ && typed_.starts_with('-')) {
      add_options(options);
    } else if (command == nullptr) {
      for (const KnownCommand& each : known_.commands) add(each.name, each.description);
    } else {
      result_.pids = command->takes == Takes::pid;
      result_.files = command->takes == Takes::file;
    }
    return std::move(result_);
  }

 private:
  // The words before the one that is typed. Returns the option whose value the latter is.
  const KnownOption* read_words(const std::vector<KnownOption>& options, std::size_t last) {
    for (std::size_t i = 1; i < last; ++i) {
      const std::string& word = words_[i];
      if (word == "--") {
        only_operands_ = true;
      } else if (only_operands_ || !word.starts_with('-') || word == "-") {
        result_.before.push_back(word);
      } else {
        const KnownOption* option = find_option(options, word.substr(0, word.find('=')));
        if (option == nullptr) continue;
        given_.push_back(option);
        if (option->takes == Takes::nothing || word.find('=') != std::string::npos) continue;
        if (i + 1 < last && words_[i + 1] == "=") ++i;  // bash
        if (++i == last) {
          if (typed_ == "=") typed_ = "";
          return option;
        }
      }
    }
    return nullptr;
  }

  void add_options(const std::vector<KnownOption>& options) {
    const std::size_t equals = typed_.find('=');
    if (equals != std::string::npos) {
      const KnownOption* option = find_option(options, std::string_view(typed_).substr(0, equals));
      if (option != nullptr) add_value(*option, typed_.substr(0, equals + 1));
      return;
    }
    for (const KnownOption& option : options) {
      if (std::ranges::find(given_, &option) != given_.end()) continue;
      for (const std::string& name : option.names) add(name, option.description);
    }
  }

  void add_value(const KnownOption& option, const std::string& lead) {
    for (const std::string& word : option.words) add(lead + word, "");
    result_.files = option.takes == Takes::file && lead.empty();
  }

  void add(const std::string& word, const std::string& description) {
    if (word.starts_with(typed_)) result_.suggestions.push_back({word, description});
  }

  const KnownCommands& known_;
  const std::vector<std::string>& words_;
  std::string typed_;
  bool only_operands_ = false;
  std::vector<const KnownOption*> given_;
  Completion result_;
};

}  // namespace

bool asks_for_completion(int argc, const char* const* argv) {
  return argc > 1 && argv[1] == kAsk;
}

Completion complete(const KnownCommands& known, const std::vector<std::string>& words) {
  return Completing(known, words).complete();
}

ExitCode run_completion(int argc, const char* const* argv) {
  const std::vector<std::string> words(argv + 2, argv + argc);
  Completion found = complete(known_commands(), words);
  if (found.pids) {
    const std::string typed = words.empty() ? "" : words.back();
    for (LikelyPython& each : list_likely_pythons()) {
      std::string pid = std::to_string(each.pid);
      if (!pid.starts_with(typed) || std::ranges::find(found.before, pid) != found.before.end()) continue;
      found.suggestions.push_back({std::move(pid), std::move(each.command)});
    }
  }
  std::string lines;
  for (const Suggestion& each : found.suggestions) {
    lines += each.word;
    if (!each.description.empty()) lines += '\t' + report::escaped(each.description);
    lines += '\n';
  }
  if (found.files) lines += ":files\n";
  const attach::Result<void> printed = write_standard_output(lines);
  return printed ? ExitCode::done : exit_code(printed.error().code);
}

}  // namespace pythreads::cli
