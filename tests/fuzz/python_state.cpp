// A whole look at an edited heap, by any layout: what is read while it is held and after, what is made of it,
// and how it is shown. The first byte says which layout, the second what is asked for.
#include <sys/syscall.h>

#include <memory>

#include "pyframes/lock_layouts.h"
#include "pyframes/python_reader.h"
#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "report/render/graph.h"
#include "report/render/json.h"
#include "report/render/text.h"
#include "tests/fuzz/edited_heap.h"
#include "tests/fuzz/require.h"
#include "tests/support/python_heap.h"

namespace {

using namespace pythreads;            // NOLINT: one file
using namespace pythreads::pyframes;  // NOLINT
using attach::Address;
using tests::require;

constexpr std::uint64_t first_ident = 0x7f12'3456'7000, ident_step = 0x1000;

// Three threads with two frames each, threading's table of them, an RLock that the second sleeps on.
struct Heap {
  explicit Heap(const RuntimeLayout& table) : layout(tests::with_runtime(table)), heap(layout) {
    const Address interpreter = heap.add_interpreter(0);
    heap.set_sys(interpreter, 0x030b07f0, "");
    const std::string lines(4, '\x02');
    const Address outer = heap.code("outer", "/srv/app.py", 10, lines);
    const Address inner = heap.code("inner", "/srv/app.py", 20, lines);
    std::vector<std::pair<Address, Address>> active;
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint64_t ident = first_ident + i * ident_step;
      const Address tstate = heap.add_thread(interpreter, ident);
      const Address caller = heap.frame(outer, 0, Address());
      heap.set_frame(tstate, heap.frame(inner, 2, caller));
      active.emplace_back(heap.integer(static_cast<std::int64_t>(ident)),
                          heap.instance("Thread", heap.dict({{heap.str("_name"), heap.str("worker")},
                                                             {heap.str("_daemonic"), heap.boolean(true)}})));
    }
    const Address threading = heap.module(
        heap.dict({{heap.str("_active"), heap.dict(active)}, {heap.str("_limbo"), heap.dict({})}}));
    heap.set(interpreter, layout.interpreter.modules, heap.dict({{heap.str("threading"), threading}}));
    add_lock();
    stack = {heap.allocate(512), 512};
    heap.memory().put(stack.begin + 64, lock.value);
    end = heap.allocate(8);
  }

  void add_lock() {
    for (const LockLayout& lock_layout : lock_layouts) {
      if (lock_layout.type_name != "_thread.RLock") continue;
      const auto head = static_cast<std::uint64_t>(layout.object.size);
      const Address type = heap.type("_thread.RLock", 0, lock_layout.size + layout.object.size);
      lock = heap.object(type, head + 64);
      word = lock + head;
      if (lock_layout.semaphore.exists()) {
        word = heap.allocate(32);
        heap.set(lock + head, lock_layout.semaphore, word);
      }
      heap.set(lock + head, lock_layout.locked, 1);
      heap.set(lock + head, lock_layout.owner, first_ident);
      return;
    }
  }

  const RuntimeLayout layout;
  tests::PythonHeap heap;
  Address lock, word, end;
  attach::Range stack;
};

Heap& heap_of(const LayoutRow& row) {
  static std::map<const RuntimeLayout*, std::unique_ptr<Heap>> known;
  std::unique_ptr<Heap>& heap = known[row.layout];
  if (!heap) heap = std::make_unique<Heap>(*row.layout);
  return *heap;
}

void add_threads(const Heap& heap, attach::Target& target) {
  target.process.pid = 100;
  for (std::uint64_t i = 0; i < 3; ++i) {
    attach::ThreadState& thread = target.threads.emplace_back();
    thread.tid = thread.namespace_tid = static_cast<pid_t>(100 + i);
    thread.state = 'S';
    thread.outcome = attach::StopOutcome::held;
    thread.registers.emplace().pthread_self = first_ident + i * ident_step;
    thread.registers->values[attach::stack_pointer_register] = heap.stack.begin.value;
    thread.stack = heap.stack;
    if (i == 0) continue;
    thread.kernel_wait.emplace().number = SYS_futex;
    thread.kernel_wait->arguments = {heap.word.value, 0x189, 0, 0, 0, 0};
    thread.futex.emplace().word = heap.word;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tests::Input input(data, size);
  const LayoutRow& row = layout_rows()[input.take<std::uint8_t>() % layout_rows().size()];
  const auto asked = input.take<std::uint8_t>();
  Heap& heap = heap_of(row);

  Runtime runtime;
  runtime.layout = heap.layout;
  runtime.address = heap.heap.runtime();
  runtime.version = {3, row.minor, row.micro, 0};
  attach::Target target;
  add_threads(heap, target);
  auto memory = std::make_unique<tests::EditedHeap>(heap.heap.memory(), runtime.address,
                                                    (heap.end - runtime.address) / 8);
  memory->edit(input);
  target.memory = std::move(memory);

  const ReadOptions options{.locals = (asked & 1) != 0, .redact = (asked & 2) == 0};
  fetch_python(runtime, options, target);
  std::vector<report::Snapshot> snapshots(1);
  report::Snapshot& snapshot = snapshots[0];
  snapshot.runtime = read_python(runtime, options, target);
  snapshot.process = target.process;
  for (const attach::ThreadState& thread : target.threads)
    snapshot.threads.push_back({.os = thread, .native = {}});

  const report::Findings findings = report::analyse(snapshots);
  report::DocumentSource source;
  source.locals = options.locals;
  const report::Document document = report::compose(snapshots, findings, source);
  require(report::render_text(document, {.locals = options.locals, .explain = true}).size() > 0, "text");
  require(report::render_dot(document).size() > 0, "a graph");
  const auto again = report::parse_json(report::render_json(document));
  require(again.ok(), "what we write we read");
  return 0;
}
