#include "report/render/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/text.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using attach::ErrorCode;
using report::Document;
using report::parse_json;
using report::render_json;

Document small_document() {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread")
      .frame("a.py", 1, "f")
      .waits_for(rlock(0x7000, 12))
      .holds(lock(0x8000), 0, 3);
  const report::Snapshot snapshot = builder.build();
  report::DocumentSource source;
  source.tool_version = "0";
  return report::compose(std::span(&snapshot, 1), report::analyse(std::span(&snapshot, 1)), source);
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(Json, ReadsBackWhatItWrote) {
  const std::string text = render_json(small_document());
  const auto document = parse_json(text);
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(render_json(*document), text);
}

// However many threads there are, no more than a piece of the text is there at once.
TEST(Json, IsWrittenInPieces) {
  Document document = small_document();
  std::vector<report::document::Thread>& threads = document.processes.front().threads;
  threads.resize(2000, threads.front());
  for (const bool json : {true, false}) {
    std::size_t pieces = 0, longest = 0, size = 0;
    const report::Sink sink = [&](std::string_view piece) {
      ++pieces;
      longest = std::max(longest, piece.size());
      size += piece.size();
    };
    if (json) {
      report::write_json(document, sink);
    } else {
      report::write_text(document, {.full = true}, sink);
    }
    EXPECT_GT(size, 4 * report::piece_size);
    EXPECT_LT(longest, 2 * report::piece_size);
    EXPECT_GT(pieces, 4U);
  }
}

// A line for each process and one for what was found; in them what the whole document says.
TEST(Json, LinesSayWhatTheDocumentSays) {
  Document document = small_document();
  document.source.samples = 3;
  document.processes.push_back(document.processes.front());
  document.processes.back().pid = 11;
  std::string text;
  report::write_json_lines(document, [&](std::string_view piece) { text += piece; });
  const auto whole = nlohmann::json::parse(render_json(document));
  std::istringstream lines(text);
  std::string line;
  std::vector<nlohmann::json> read;
  while (std::getline(lines, line)) read.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(read.size(), 3U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(read[i], (nlohmann::json{{"type", "process"},
                                       {"schema", whole["schema"]},
                                       {"look", 3},
                                       {"source", whole["source"]},
                                       {"process", whole["processes"][i]}}));
  }
  EXPECT_EQ(read[2], (nlohmann::json{{"type", "findings"},
                                     {"schema", whole["schema"]},
                                     {"look", 3},
                                     {"findings", whole["findings"]},
                                     {"errors", whole["errors"]}}));
}

TEST(Json, KeepsTasksDetailsAndLooks) {
  Document document = small_document();
  report::document::Task task;
  task.id = "t1";
  task.flavour = "asyncio";
  document.processes[0].tasks.push_back(task);
  document.processes[0].resources[0].waiters.push_back({10, {}, "t1"});
  document.processes[0].resources[0].detail = {{"unfinished", report::document::Number{3}},
                                               {"broken", false},
                                               {"state", std::string("PENDING")},
                                               {"load", 0.5},
                                               {"nothing", std::monostate()}};
  document.looks.push_back({"2026-01-02T03:04:05.678Z", 1.5, report::Verdict::waiting});
  const std::string text = render_json(document);
  const auto read = parse_json(text);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->processes[0].resources[0].waiters.back().task, "t1");
  EXPECT_EQ(read->processes[0].resources[0].detail->size(), 5U);
  EXPECT_EQ(read->looks.size(), 1U);
}

TEST(Json, AcceptsFieldsAndWordsItDoesNotKnow) {
  std::string text = render_json(small_document());
  text = replaced(text, "\"tool\": {", "\"weather\": [{\"sunny\": true}], \"tool\": {\"colour\": 3, ");
  text = replaced(text, "\"kind\": \"rlock\"", "\"kind\": \"a-new-kind\"");
  const auto document = parse_json(text);
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_EQ(document->processes[0].threads[0].wait->kind, "a-new-kind");
}

TEST(Json, ReadsADumpOfAnEarlierReleaseThatLacksAField) {
  std::string text = render_json(small_document());
  text = replaced(text, "\"attachment\": null,", "");
  text = replaced(text, "\"looks\": [],", "");
  const auto document = parse_json(text);
  ASSERT_TRUE(document.ok()) << document.error().message;
  EXPECT_FALSE(document->processes[0].threads[0].attachment);
  // What cannot be null was there from the first.
  EXPECT_FALSE(parse_json(replaced(text, "\"status\": \"blocked\",", "")).ok());
}

TEST(Json, RefusesWhatIsNoDump) {
  const std::string good = render_json(small_document());
  for (const std::string& text : {std::string(),
                                  std::string("{"),
                                  std::string("[]"),
                                  std::string("null"),
                                  std::string("{\"schema\": 7}"),
                                  std::string("{\"schema\": \"other/1\"}"),
                                  good.substr(0, good.size() / 2),
                                  good + "{}",
                                  replaced(good, "\"tool\"", "\"tol\""),
                                  replaced(good, "\"pid\": 10", "\"pid\": \"10\""),
                                  replaced(good, "\"pid\": 10", "\"pid\": 1e400"),
                                  replaced(good, "\"pid\": 10", "\"pid\": 18446744073709551615"),
                                  replaced(good, "\"certainty\": \"certain\"", "\"certainty\": \"sure\""),
                                  replaced(good, "\"status\": \"blocked\"", "\"status\": \"stuck\""),
                                  replaced(good, "\"line\": 1", "\"line\": \"1\""),
                                  replaced(good, "\"frames\": [", "\"frames\": [0, "),
                                  replaced(good, "\"frame\": 0", "\"frame\": 7"),
                                  replaced(good, "\"frame\": 0", "\"frame\": -1"),
                                  replaced(good, "\"0x7000\"", "\"0x70000000000000000\""),
                                  replaced(good, "\"0x7000\"", "\"7000\""),
                                  replaced(good, "\"MainThread\"", "\"\xff\""),
                                  std::string(100'000, '['),
                                  "{\"schema\": \"pythreads/1\", \"processes\": " + std::string(40, '[') +
                                      std::string(40, ']') + "}"}) {
    const auto document = parse_json(text);
    ASSERT_FALSE(document.ok()) << text.substr(0, 200);
    EXPECT_EQ(document.error().code, ErrorCode::not_python);
    EXPECT_FALSE(document.error().message.empty());
  }
}

TEST(Json, NamesTheFieldThatIsWrong) {
  const auto document = parse_json(replaced(render_json(small_document()), "\"main\": true", "\"main\": 1"));
  ASSERT_FALSE(document.ok());
  EXPECT_NE(document.error().message.find("processes.0.interpreters.0.main"), std::string::npos)
      << document.error().message;
}

TEST(Json, TellsANewerSchemaApart) {
  const auto document = parse_json("{\"schema\": \"pythreads/2\"}");
  ASSERT_FALSE(document.ok());
  EXPECT_EQ(document.error().code, ErrorCode::unsupported);
}

TEST(Json, AFailureIsTheOrdinaryObject) {
  report::DocumentSource source;
  source.errors.push_back({12, "no_such_process", 66, "there is no process 12", std::nullopt});
  const Document document = report::compose({}, report::analyse({}), source);
  EXPECT_EQ(document.findings.verdict, report::Verdict::unknown);
  EXPECT_TRUE(document.processes.empty());
  EXPECT_EQ(document.errors.at(0).exit, 66);
  EXPECT_TRUE(parse_json(render_json(document)).ok());
}

TEST(Json, WhateverIsInADocumentTheTextStandsIt) {
  // Indexes, nodes and resources that lead nowhere.
  Document document = small_document();
  document.findings.causes.push_back({"lock-cycle",
                                      report::Certainty::certain,
                                      "s",
                                      {{10, 99, {}}, {1, 2, {}}},
                                      {"9:r9"},
                                      {{3, 4, {}}},
                                      std::nullopt});
  document.findings.cycles.push_back({{10, 99, {}}, {1, 2, {}}});
  document.processes[0].threads[0].wait->resource = "8:r8";
  document.processes[0].threads[0].holds[0].resource = "8:r9";
  document.processes[0].threads[0].frames[0].file = std::nullopt;
  document.processes[0].python.reset();
  document.processes[0].command.reset();
  EXPECT_FALSE(report::render_text(document, {.explain = true}).empty());
  document.findings.cycles.push_back({});
  document.findings.causes[0].nodes.clear();
  EXPECT_FALSE(report::render_text(document, {}).empty());
}

}  // namespace
}  // namespace pythreads::tests
