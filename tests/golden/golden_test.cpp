// Renderings of whole situations, compared with the files beside this one. PYTHREADS_UPDATE_GOLDEN=1 rewrites
// them. Each JSON is also read back: it must render to the same text and the same JSON, byte for byte, which
// is what `show` promises. validate.py checks the JSON files against the schema.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/graph.h"
#include "report/render/json.h"
#include "report/render/line_layout.h"
#include "report/render/text.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using report::Document;
using report::Style;

struct Golden {
  std::string name;
  Document (*document)();
  std::vector<std::pair<std::string, Style>> styles;  // suffix of the file, how it is rendered
};

report::DocumentSource source() {
  report::DocumentSource source;
  source.tool_version = "9.8.7";
  source.host = {"host-1", "6.1.0-18-amd64", "x86_64", "00000000-1111-2222-3333-444444444444"};
  source.captured_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1767323045678));
  source.duration_ms = 17.25;
  return source;
}

Document composed(const SnapshotBuilder& builder, const report::DocumentSource& from = source()) {
  const report::Snapshot snapshot = builder.build();
  return report::compose(std::span(&snapshot, 1), report::analyse(std::span(&snapshot, 1)), from);
}

constexpr const char* bank_file = "/srv/bank.py";
constexpr const char* threading_file = "/usr/lib/python3.11/threading.py";

// Two transfers in opposite order, one audit behind them, a pool worker with nothing to do, one that
// computes.
Document rlock_deadlock() {
  SnapshotBuilder bank(4711);
  const auto alice = rlock(0x7f2b9ec10040, 4713), bob = rlock(0x7f2b9ec10080, 4712);
  bank.thread(4711, "MainThread")
      .frame(threading_file, 1119, "join", "threading")
      .frame(bank_file, 60, "main")
      .frame(bank_file, 63, "<module>", "__main__", true)
      .sleeps_in(SYS_futex, 0x7f0000001234, 0x189);
  bank.thread(4712, "transfer-1")
      .frame(bank_file, 21, "transfer")
      .frame(threading_file, 982, "run", "threading")
      .frame(threading_file, 1045, "_bootstrap_inner", "threading")
      .frame(threading_file, 1002, "_bootstrap", "threading", true)
      .waits_for(alice)
      .holds(bob, 0, 20);
  bank.thread(4713, "transfer-2")
      .frame(bank_file, 31, "refund")
      .frame(threading_file, 1002, "_bootstrap", "threading", true)
      .waits_for(bob)
      .holds(alice, 0, 30);
  bank.thread(4714, "audit").frame(bank_file, 41, "audit").waits_for(bob).python().daemon = true;
  bank.thread(4715, "pool_0")
      .frame("/usr/lib/python3.11/concurrent/futures/thread.py", 81, "_worker", "concurrent.futures.thread")
      .frame(threading_file, 1002, "_bootstrap", "threading", true)
      .sleeps_in(SYS_futex, 0x7f0000005678, 0x189);
  bank.thread(4716, "compute").frame(bank_file, 51, "compute").holds_gil().runs();
  return composed(bank);
}

// Five workers in one place, a pool's and not yet fifty; one that is elsewhere.
Document workers() {
  SnapshotBuilder pool(50);
  pool.thread(50, "MainThread").frame(bank_file, 63, "<module>", "__main__", true).sleeps_in(SYS_wait4, 0);
  for (pid_t tid = 51; tid < 56; ++tid) {
    pool.thread(tid, "worker_" + std::to_string(tid - 51))
        .frame("/srv/venv/lib/python3.11/site-packages/service/client.py", 41, "fetch")
        .frame(bank_file, 70, "work")
        .sleeps_in(SYS_read, 7);
  }
  pool.thread(56, "worker_5").frame(bank_file, 71, "work").holds_gil().runs();
  return composed(pool);
}

Document recorded_owner() {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame(bank_file, 21, "transfer").waits_for(rlock(0x7020, 12), 0x7ffc0010);
  bank.thread(12, "two").frame(bank_file, 31, "refund").waits_for(rlock(0x7010, 11)).not_held();
  bank.snapshot().threads[1].os.gap = "registers: it did not stop within 200 ms";
  return composed(bank);
}

// Native frames around Python's, a thread whose walk failed, a native thread, locals.
Document native_and_locals() {
  SnapshotBuilder app(20);
  ThreadBuilder main = app.thread(20, "MainThread");
  main.frame("/srv/app.py", 8, "key", "__main__", true).frame("/srv/app.py", 12, "sort_all");
  main.frame("/srv/app.py", 15, "<module>", "__main__", true).sleeps_in(SYS_read, 3);
  main.native("__libc_read", "/usr/lib/x86_64-linux-gnu/libc.so.6").native("os_read");
  main.native("_PyEval_EvalFrameDefault")
      .native("list_sort_impl")
      .native("")
      .native("_PyEval_EvalFrameDefault");
  main.native("PyEval_EvalCode").native("main", "/usr/bin/python3.11");
  main.os().native.frames[1].file = "./Modules/posixmodule.c";
  main.os().native.frames[1].line = 9414;
  main.os().native.frames[1].inlined = true;
  main.os().native.frames.back().trust = unwinder::FrameTrust::scanned;
  main.python().frames[0].locals = {{"self", {"<app.Row at 0x7f11>", false}},
                                    {"api_key", {"<redacted>", true}},
                                    {"text", {"'line\\n\\x1b[31m'", false}}};
  main.python().frames[1].locals_gap = "the frame's locals could not be read";
  ThreadBuilder broken = app.thread(21, "worker");
  broken.frame("/srv/app.py", 30, "work", "__main__", true).sleeps_in(SYS_accept4, 5);
  broken.os().native.gap = "no unwind table holds 0x7f0000001000";
  app.native_thread(22, "jemalloc_bg_thd")
      .native("epoll_wait", "libc.so.6")
      .native("start_thread", "libc.so.6");
  app.snapshot().threads[2].os.kernel_wait =
      attach::KernelWait{SYS_epoll_wait, {4, 0, 1, 0xffffffff}, 0, false};
  report::DocumentSource from = source();
  from.native = from.locals = true;
  from.options = {"--native", "--locals"};
  return composed(app, from);
}

Document many_threads() {
  SnapshotBuilder pool(100);
  ThreadBuilder main = pool.thread(100, "MainThread");
  for (int i = 0; i < 150; ++i) main.frame("/srv/deep.py", 3, "descend");
  main.frame("/srv/deep.py", 9, "<module>", "__main__", true).runs();
  main.holds(lock(0x7f00aa), 75, 3).holds_gil();
  for (pid_t i = 1; i <= 60; ++i) {
    pool.thread(100 + i, "pool_" + std::to_string(i))
        .frame("/usr/lib/python3.11/queue.py", 171, "get", "queue")
        .frame("/srv/pool.py", 40 + i % 2, "work", "pool", true)
        .sleeps_in(SYS_futex, 0x1000, 0x189);
  }
  pool.thread(200, "waits for the GIL").frame("/srv/pool.py", 5, "count", "pool", true).waits_for_gil();
  for (pid_t i = 0; i < 12; ++i) pool.native_thread(300 + i, "blas_" + std::to_string(i));
  return composed(pool);
}

// Everything that a name or a path may hold.
Document hostile_text() {
  SnapshotBuilder app(30);
  app.snapshot().process.command = {"python3", "-c", "print('\x1b[2J')\n", "\xff\xfe",
                                    std::string("a\0b", 3)};
  app.thread(30, "evil\n\"name\" (most recent call first):\x1b]0;title\x07")
      .frame("/tmp/new\nline \xc3\x28/größe\xed\xb3\xbf.py", 3, "日本\u202efn")
      .sleeps_in(SYS_nanosleep)
      .os()
      .os.os_name = "\xf0\x28\x8c";
  return composed(app);
}

// Everything that is said below a header, and everything that could not be read.
Document gaps_and_states() {
  SnapshotBuilder app(40);
  pyframes::PyRuntimeState& runtime = app.snapshot().runtime;
  runtime.version = {3, 15, 0, 0x030f00c1};
  runtime.debug = runtime.free_threaded = true;
  runtime.layout = pyframes::LayoutTrust::extrapolated;
  runtime.linkage = pyframes::Linkage::shared_library;
  runtime.finalizing = true;
  runtime.gaps = {"threading's names: the dict could not be read"};
  app.interpreter().gil.reset();
  app.interpreter().gc_collecting = true;
  app.interpreter().gc_tid = 40;
  app.interpreter().stop_the_world_requested = true;
  app.interpreter().stop_the_world_requester = 40;
  app.interpreter().threads_gap = "the list ends early: 0x7f00 could not be read";
  pyframes::PyInterpreter second;
  second.id = 1;
  second.gil_gap = "the GIL's state could not be read";
  attach::Process& process = app.snapshot().process;
  process.parent_pid.reset();
  process.working_directory.clear();
  process.command.clear();
  process.unread = {"parent_pid", "working_directory", "command"};
  app.snapshot().disturbed = {{41, "epoll_wait", "EINTR"}};

  pyframes::PyThread& main = app.thread(40, "MainThread").frame("/srv/a.py", 5, "collect").runs().python();
  main.exception = pyframes::PyException{"app.Broken", "cannot open x", "/srv/a.py", 9};
  main.tracing = main.profiling = true;
  main.attachment = pyframes::PyAttachment::attached;
  main.pending_async_exception = "KeyboardInterrupt";
  main.recursion_depth.reset();
  app.thread(41, "").sleeps_in(SYS_epoll_wait, 4, 0, 64, 1000).python().frames_gap =
      "the frame at 0x7f10 could not be read";
  ThreadBuilder disk = app.thread(42, "disk").frame("", 0, "").frame("", 0, "").not_held();
  disk.os().os.state = 'D';
  disk.python().frames[1].function_unread = disk.python().frames[1].file_unread = true;
  app.thread(43, "lost").frame("/srv/a.py", 7, "f");
  app.interpreter().threads.back().tid = 0;
  app.snapshot().threads.pop_back();
  app.snapshot().runtime.interpreters.push_back(second);
  app.snapshot().stopped = false;
  app.snapshot().gaps = {"the maps changed while it was read"};
  return composed(app);
}

Document failure() {
  report::DocumentSource from = source();
  from.errors.push_back({4711, "not_permitted", 77, "process 4711 belongs to user 0", "run it as root"});
  return report::compose({}, report::analyse({}), from);
}

Document two_processes() {
  SnapshotBuilder one(50), two(60);
  one.thread(50, "MainThread").frame("/srv/a.py", 5, "serve").sleeps_in(SYS_accept4, 3);
  two.thread(60, "MainThread").frame("/srv/a.py", 6, "log").waits_for(lock(0x99)).holds(lock(0x99), 0, 6);
  const std::vector<report::Snapshot> both{one.build(), two.build()};
  report::DocumentSource from = source();
  from.errors.push_back({70, "no_such_process", 66, "there is no process 70", std::nullopt});
  return report::compose(both, report::analyse(both), from);
}

// What later stages will fill: tasks, looks, candidates, names. So that the schema is held against each
// object.
Document every_field() {
  namespace doc = report::document;
  SnapshotBuilder app(80);
  app.thread(80, "MainThread").frame("/srv/a.py", 5, "f").waits_for(lock(0x7010));
  app.thread(81, "one").frame("/srv/a.py", 6, "g").holds(lock(0x7010), 0, 6).runs();
  app.thread(82, "two").frame("/srv/a.py", 7, "h").holds(lock(0x7010), 0, 7).runs();
  Document document = composed(app);
  document.looks.push_back({"2026-01-02T03:04:04.678Z", 1.5, report::Verdict::running});
  document.source.disturbed.push_back({81, "epoll_wait", "EINTR"});
  doc::Process& process = document.processes[0];
  process.role = "gunicorn worker";
  process.namespace_pids = {80, 1};
  for (doc::Thread& thread : process.threads) thread.namespace_tid = *thread.tid - 79;
  process.resources[0].name = "app.lock";
  process.resources[0].detail = {{"unfinished", doc::Number{3}}, {"maxsize", std::monostate()}};
  doc::Wait wait = *process.threads[0].wait;
  wait.target = doc::Node{80, {}, "t1"};
  wait.descriptor = doc::Descriptor{5, "pipe", "process 90"};
  wait.ends_in_ms = 12.5;
  wait.since_ms = 1000;
  process.threads[0].wait = wait;
  process.threads[0].trigger = "finalizer";
  process.threads[0].exception = doc::Exception{"ValueError", "text", doc::RaisedAt{"/srv/a.py", 4}, {}};
  doc::Task task;
  task.id = "t1";
  task.flavour = "asyncio";
  task.name = "Task-1";
  task.frames = process.threads[1].frames;
  task.wait = wait;
  task.holds = process.threads[1].holds;
  task.thread = 80;
  process.tasks.push_back(task);
  doc::Resource resource = process.resources[0];
  resource.id = "80:r9";
  resource.same_as = {"80:r1"};
  resource.owner = doc::Owner{{80, {}, "t1"}, report::Certainty::inferred, {"rule", "text"}};
  resource.candidates = {{{80, {}, "t1"}, {"rule", "text"}}};
  process.resources.push_back(resource);
  return document;
}

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> all{
      {"rlock_deadlock",
       rlock_deadlock,
       {{"", {}},
        {".explain", {.explain = true}},
        {".color", {.color = true}},
        {".narrow", {.width = 72}},
        {".blocked", {.only_blocked = true}}}},
      {"workers", workers, {{"", {}}, {".group", {.color = true, .group = true}}}},
      {"recorded_owner", recorded_owner, {{"", {}}}},
      {"native_and_locals", native_and_locals, {{"", {.native = true, .locals = true}}, {".python", {}}}},
      {"many_threads", many_threads, {{"", {}}}},
      {"hostile_text", hostile_text, {{"", {}}, {".narrow", {.width = 40}}}},
      {"gaps_and_states", gaps_and_states, {{"", {}}}},
      {"failure", failure, {{"", {}}}},
      {"two_processes", two_processes, {{"", {}}}},
      {"every_field", every_field, {{"", {}}}},
  };
  return all;
}

class GoldenTest : public testing::TestWithParam<Golden> {};

void expect_file(const std::string& name, const std::string& text) {
  const std::string path = std::string(PYTHREADS_GOLDEN_DIR) + "/" + name;
  if (std::getenv("PYTHREADS_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing";
  const std::string expected((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, expected) << path;
}

// All words of a text in their order; of what looks like a path, the last part.
std::vector<std::string> words_without_paths(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word.substr(word.rfind('/') + 1));
  return words;
}

// Who waits for whom: the tree, and both drawings.
TEST_P(GoldenTest, GraphsAreAsTheFilesSay) {
  const Document document = GetParam().document();
  expect_file(GetParam().name + ".graph.txt", report::render_graph_text(document, {}));
  expect_file(GetParam().name + ".dot", report::render_dot(document));
  expect_file(GetParam().name + ".mmd", report::render_mermaid(document));
  for (const std::string& drawing : {report::render_dot(document), report::render_mermaid(document)}) {
    for (const char c : drawing) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int{c};
  }
}

TEST_P(GoldenTest, TextAndJsonAreAsTheFilesSay) {
  const Document document = GetParam().document();
  const std::string json = report::render_json(document);
  expect_file(GetParam().name + ".json", json);
  const auto read = report::parse_json(json);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(report::render_json(*read), json);
  for (const auto& [suffix, style] : GetParam().styles) {
    const std::string text = report::render_text(document, style);
    expect_file(GetParam().name + suffix + ".txt", text);
    EXPECT_EQ(report::render_text(*read, style), text);
    // No line is longer or shorter than ours: what the target names ends no line and commands no terminal.
    if (!style.color) {
      for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int{c};
    }
  }
}

TEST_P(GoldenTest, FullTextHasEveryFrame) {
  const Document document = GetParam().document();
  const std::string text = report::render_text(document, {.native = true, .full = true});
  std::size_t frames = 0;
  for (const auto& process : document.processes) {
    for (const auto& thread : process.threads) {
      for (const auto& frame : thread.frames) frames += frame.kind == "python" ? 1 : 0;
    }
  }
  std::size_t lines = 0;
  for (std::size_t at = text.find("\n  File \""); at != std::string::npos;
       at = text.find("\n  File \"", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, frames);
}

// On a terminal nothing is lost but the beginnings of paths, and no line but faulthandler's is too long for
// it.
TEST_P(GoldenTest, NarrowTextSaysTheSame) {
  const Document document = GetParam().document();
  const std::string wide = report::render_text(document, {.explain = true});
  const std::string narrow = report::render_text(document, {.explain = true, .width = 60});
  EXPECT_EQ(words_without_paths(narrow), words_without_paths(wide));
  std::istringstream lines(narrow);
  for (std::string line; std::getline(lines, line);) {
    const bool whole = line.starts_with("Thread 0x") || line.starts_with("  File \"") ||
                       line.starts_with("  Binary file \"");
    const bool one_word = line.find(' ', line.find_first_not_of(' ')) == std::string::npos;
    if (whole || one_word) continue;
    EXPECT_LE(report::terminal_columns(line), 60U) << line;
  }
  EXPECT_EQ(report::render_text(document, {.full = true, .width = 10'000}),
            report::render_text(document, {.full = true}));
}

TEST(Golden, ColoursSayNothingThatTheWordsDoNot) {
  for (const Golden& golden : goldens()) {
    std::string text = report::render_text(golden.document(), {.color = true, .explain = true});
    for (const char* code :
         {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[1;36m"}) {
      for (std::size_t at = text.find(code); at != std::string::npos; at = text.find(code))
        text.erase(at, std::strlen(code));
    }
    EXPECT_EQ(text, report::render_text(golden.document(), {.explain = true})) << golden.name;
  }
}

TEST(Golden, TheDeadlockIsReadInTheFirstTenLines) {
  std::string text = report::render_text(rlock_deadlock(), {});
  std::size_t end = 0;
  for (int line = 0; line < 10; ++line) end = text.find('\n', end) + 1;
  const std::string head = text.substr(0, end);
  for (const char* needed : {"deadlock", "transfer-1", "transfer-2", "bank.py:21", "bank.py:31",
                             "0x7f2b9ec10040", "0x7f2b9ec10080"}) {
    EXPECT_NE(head.find(needed), std::string::npos) << needed;
  }
}

INSTANTIATE_TEST_SUITE_P(Situations, GoldenTest, testing::ValuesIn(goldens()),
                         [](const auto& situation) { return situation.param.name; });

}  // namespace
}  // namespace pythreads::tests
