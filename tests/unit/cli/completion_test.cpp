#include "cli/completion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/likely_pythons.h"

namespace pythreads::cli {
namespace {

std::vector<std::string> words_of(const Completion& completion) {
  std::vector<std::string> words;
  for (const Suggestion& each : completion.suggestions) words.push_back(each.word);
  return words;
}

Completion completed(std::vector<std::string> words) {
  return complete(known_commands(), words);
}

bool offers(const Completion& completion, const std::string& word) {
  const std::vector<std::string> words = words_of(completion);
  return std::find(words.begin(), words.end(), word) != words.end();
}

using Words = std::vector<std::string>;

TEST(Completion, CommandsComeFirst) {
  EXPECT_EQ(words_of(completed({""})), (Words{"dump", "graph", "check", "show", "doctor"}));
  EXPECT_EQ(words_of(completed({"sh"})), (Words{"show"}));
  EXPECT_FALSE(completed({""}).suggestions.front().description.empty());
  EXPECT_EQ(words_of(completed({"--v"})), (Words{"--version"}));
  EXPECT_EQ(completed({"nothing", ""}).suggestions, std::vector<Suggestion>{});
  EXPECT_EQ(completed({}).suggestions, completed({""}).suggestions);
}

TEST(Completion, OperandsAreProcessesOrFiles) {
  EXPECT_TRUE(completed({"dump", ""}).pids);
  EXPECT_TRUE(completed({"check", "--json", "47"}).pids);
  EXPECT_FALSE(completed({"dump", ""}).files);
  EXPECT_TRUE(completed({"show", ""}).files);
  EXPECT_FALSE(completed({"show", ""}).pids);
  EXPECT_EQ(completed({"dump", "12", "--native", "13", ""}).before, (Words{"12", "13"}));
  EXPECT_TRUE(completed({"dump", "--", "-"}).pids);
}

TEST(Completion, OptionsAreThoseOfTheCommandThatWereNotGiven) {
  EXPECT_TRUE(offers(completed({"dump", "-"}), "--native"));
  EXPECT_FALSE(offers(completed({"dump", "--native", "-"}), "--native"));
  EXPECT_FALSE(offers(completed({"graph", "-"}), "--native"));
  EXPECT_EQ(words_of(completed({"check", "--fa"})), (Words{"--fail-on"}));
  EXPECT_FALSE(offers(completed({"dump", "-o", "out", "-"}), "--output"));
}

TEST(Completion, ValuesOfFixedLists) {
  const Words formats{"text", "json", "ndjson", "dot", "mermaid"};
  EXPECT_EQ(words_of(completed({"dump", "--format", ""})), formats);
  EXPECT_EQ(words_of(completed({"check", "--format", ""})), (Words{"text", "json"}));
  EXPECT_EQ(words_of(completed({"dump", "--format", "m"})), (Words{"mermaid"}));
  EXPECT_EQ(words_of(completed({"dump", "--format=m"})), (Words{"--format=mermaid"}));
  EXPECT_TRUE(completed({"dump", "--output", ""}).files);
  // A value that nobody can guess is no process.
  const Completion duration = completed({"dump", "--deadline", ""});
  EXPECT_EQ(duration.suggestions, std::vector<Suggestion>{});
  EXPECT_FALSE(duration.pids || duration.files);
  // Behind a value comes something else.
  EXPECT_TRUE(completed({"dump", "--deadline", "2s", ""}).pids);
  EXPECT_TRUE(completed({"dump", "--deadline=2s", ""}).pids);
  EXPECT_TRUE(completed({"dump", "--deadline", "=", "2s", ""}).pids);
}

TEST(Completion, BashCutsWordsAtTheEqualsSign) {
  EXPECT_EQ(words_of(completed({"dump", "--format", "="})),
            (Words{"text", "json", "ndjson", "dot", "mermaid"}));
  EXPECT_EQ(words_of(completed({"dump", "--format", "=", "m"})), (Words{"mermaid"}));
}

TEST(LikelyPython, ByTheNameOfItsExecutable) {
  for (const char* name :
       {"python", "/usr/bin/python3", "/opt/python3.13t", "python2.7", "/venv/bin/python3-dbg"})
    EXPECT_TRUE(is_python_name(name)) << name;
  for (const char* name :
       {"", "/usr/bin/pythonista", "/python3/bash", "ipython3", "pythreads", "/usr/bin/python3/"})
    EXPECT_FALSE(is_python_name(name)) << name;
}

TEST(LikelyPython, ByWhatIsMapped) {
  EXPECT_TRUE(maps_python("7f00-7f01 r-xp 0 08:01 7 /usr/lib/libpython3.11.so.1.0\n"));
  EXPECT_TRUE(maps_python("7f00-7f01 r-xp 0 08:01 7 /usr/lib/python3.11/lib-dynload/_x.so\n"));
  EXPECT_TRUE(maps_python("7f00-7f01 r-xp 0 08:01 7 /srv/app/_fast.cpython-311.so\n"));
  EXPECT_FALSE(maps_python("7f00-7f01 r-xp 0 08:01 7 /usr/lib/libc.so.6\n"));
}

}  // namespace
}  // namespace pythreads::cli
