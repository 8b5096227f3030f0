// What the process without rights sends back to the one that tells it: whatever it is, what is taken of it
// can be analysed and shown. An input is edits of sound facts; one that begins with 0xff is the bytes
// themselves.
#include "cli/packed_facts.h"

#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/graph.h"
#include "report/render/json.h"
#include "report/render/text.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/require.h"

namespace {

using namespace pythreads;  // NOLINT: one file
using tests::require;

constexpr std::size_t threads = 2;

// Two threads, each of which holds what the other waits for.
cli::FactsRead sound_facts() {
  cli::FactsRead facts;
  pyframes::PyRuntimeState& runtime = facts.runtime;
  runtime.version = {3, 13, 5, 0x030d05f0};
  runtime.library = "/usr/lib/libpython3.13.so";
  pyframes::PyInterpreter& interpreter = runtime.interpreters.emplace_back();
  interpreter.gil.emplace().holder_tid = 100;
  facts.stacks.resize(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    pyframes::PyThread& thread = interpreter.threads.emplace_back();
    thread.name = "worker";
    thread.tid = static_cast<pid_t>(100 + i);
    thread.ident = 0x7f00'0000'1000 * (i + 1);
    thread.exception = {"ValueError", "no", "a.py", 3};
    pyframes::PyFrame& frame = thread.frames.emplace_back();
    frame.file = attach::SharedText("a.py");
    frame.function = attach::SharedText("f");
    frame.line = 7;
    frame.locals = {{"x", {"<redacted>", true}}};
    thread.lock_wait = {attach::Address(0x1000 * (2 - i)), attach::Address(0x1010), "rule", "evidence"};
    thread.frame_objects = {{0, "self", attach::Address(0x1000)}};
    thread.held.push_back({.object = attach::Address(0x1000 * (i + 1)), .frame = 0, .rule = "with-block"});
    thread.pending_calls = {{attach::Address(0x1000), "get", 0, 9}};
    thread.mentions = {{attach::Address(0x1000), 0, "self._lock"}};
    pyframes::PySyncObject& object = runtime.sync_objects.emplace_back();
    object.address = attach::Address(0x1000 * (i + 1));
    object.kind = i == 0 ? pyframes::PySyncKind::rlock : pyframes::PySyncKind::lock;
    object.detail = {{"a", {}}, {"b", true}, {"c", std::int64_t{-1}}, {"d", std::string("text")}};
    facts.stacks[i].walked = true;
    facts.stacks[i].native.frames.resize(2);
  }
  return facts;
}

std::string edited(tests::Input& input) {
  static const std::string sound = cli::pack(sound_facts());
  std::string bytes = sound;
  for (int edits = 0; edits < 100 && !input.is_empty(); ++edits) {
    const std::size_t at = input.take<std::uint16_t>() % bytes.size();
    const auto kind = input.take<std::uint8_t>();
    if (kind % 4 == 0) {
      bytes[at] = static_cast<char>(input.take<std::uint8_t>());
    } else if (kind % 4 == 1) {
      bytes[at] = static_cast<char>(bytes[at] + 1 + kind / 4 % 4);
    } else if (kind % 4 == 2) {
      bytes.erase(at, std::min<std::size_t>(kind / 4 + 1, bytes.size() - 1));
    } else {
      bytes.insert(at, sound.substr(input.take<std::uint16_t>() % sound.size(), kind / 4 + 1));
    }
    if (bytes.empty()) bytes = sound;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  if (input.take<std::uint8_t>() != 0xff) input = tests::Input(data, size);
  const bool whole = size != 0 && data[0] == 0xff;
  const std::string bytes =
      whole ? std::string(reinterpret_cast<const char*>(data) + 1, size - 1) : edited(input);
  attach::Result<cli::FactsRead> facts = cli::unpack(bytes, threads);
  if (!facts) return 0;
  require(facts->stacks.size() == threads, "a stack for each thread");
  std::vector<report::Snapshot> snapshots(1);
  report::Snapshot& snapshot = snapshots[0];
  snapshot.process.pid = 100;
  snapshot.runtime = std::move(facts->runtime);
  for (std::size_t i = 0; i < threads; ++i) {
    report::SnapshotThread& thread = snapshot.threads.emplace_back();
    thread.os.tid = thread.os.namespace_tid = static_cast<pid_t>(100 + i);
    thread.os.outcome = attach::StopOutcome::held;
    thread.os.registers.emplace();
    thread.native = std::move(facts->stacks[i].native);
    thread.native_walked = facts->stacks[i].walked;
  }
  const report::Findings findings = report::analyse(snapshots);
  report::DocumentSource source;
  source.native = source.locals = true;
  const report::Document document = report::compose(snapshots, findings, source);
  require(!report::render_text(document, {.native = true, .locals = true, .explain = true}).empty(), "text");
  require(!report::render_dot(document).empty(), "a graph");
  require(report::parse_json(report::render_json(document)).ok(), "what we write we read");
  return 0;
}
