#include "report/analysis/wait_rules.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using report::Classification;
using report::Snapshot;
using report::Status;

Classification classify_first(const SnapshotBuilder& builder) {
  const Snapshot snapshot = builder.build();
  return report::classify(report::join_threads(snapshot).at(0));
}

struct Case {
  std::string rule, kind;
  Status status;
  std::optional<bool> timeout;
  std::function<void(ThreadBuilder&)> set_up;
};

void stand_on(ThreadBuilder& thread, std::initializer_list<std::pair<const char*, const char*>> frames) {
  for (const auto& [module, function] : frames) thread.frame("lib.py", 1, function, module);
  thread.frame("/srv/app.py", 7, "work");
}

std::function<void(ThreadBuilder&)> asleep_on(pyframes::PySyncKind kind) {
  return [kind](ThreadBuilder& t) { t.frame("a.py", 1, "f").waits_for(sync_object(kind, 0x7000)); };
}

// Inside the wait of the Condition whose lock it is.
std::function<void(ThreadBuilder&)> reacquires(const pyframes::PySyncObject& inner) {
  return [inner](ThreadBuilder& t) {
    pyframes::PySyncObject condition = sync_object(pyframes::PySyncKind::condition, 0x9000);
    condition.lock = inner.address;
    t.frame("threading.py", 1, "wait", "threading").frame("a.py", 1, "f").waits_for(inner);
    t.notes(0, "self", condition);
  };
}

// Asleep on a word with these words from it on, inside of a native function.
void native_futex(ThreadBuilder& thread, const std::vector<std::int32_t>& words,
                  const char* function = nullptr) {
  thread.frame("a.py", 1, "f").sleeps_in(SYS_futex, 0x7000, 0x80);
  attach::FutexWait& futex = thread.os().os.futex.emplace();
  futex.word = attach::Address(0x7000);
  futex.around_begin = attach::Address(0x7000);
  futex.around.resize(words.size() * sizeof(std::int32_t));
  std::memcpy(futex.around.data(), words.data(), futex.around.size());
  if (function != nullptr) thread.native(function, "/lib/libc.so.6");
}

// One case for each row of the table, by what fires it.
std::vector<Case> cases() {
  const auto on = [](std::initializer_list<std::pair<const char*, const char*>> frames) {
    return [frames = std::vector(frames)](ThreadBuilder& thread) {
      for (const auto& [module, function] : frames) thread.frame("lib.py", 1, function, module);
      thread.frame("/srv/app.py", 7, "work").waits_for(lock(0x7000));
    };
  };
  const auto futex_on = [](std::initializer_list<std::pair<const char*, const char*>> frames) {
    return [frames = std::vector(frames)](ThreadBuilder& thread) {
      for (const auto& [module, function] : frames) thread.frame("lib.py", 1, function, module);
      thread.frame("/srv/app.py", 7, "work").sleeps_in(SYS_futex, 0x7000, 0x189, 0, 0x7ffc);
    };
  };
  const auto call = [](long number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                       std::uint64_t d = 0, std::uint64_t e = 0) {
    return [=](ThreadBuilder& thread) { thread.frame("a.py", 1, "f").sleeps_in(number, a, b, c, d, e); };
  };
  // Between two looks into a queue of another interpreter.
  const auto polls = [](const char* function) {
    return [=](ThreadBuilder& thread) {
      stand_on(thread, {{"concurrent.interpreters._queues", function}});
      thread.sleeps_in(SYS_clock_nanosleep, 0, 0, 0, 0x7ffc);
    };
  };
  return {
      {"gil-word", "gil", Status::blocked, false,
       [](ThreadBuilder& t) { t.frame("a.py", 1, "f").waits_for_gil(); }},
      {"idle-worker", "idle", Status::idle, true, futex_on({{"concurrent.futures.thread", "_worker"}})},
      {"idle-worker", "idle", Status::idle, false,
       on({{"threading", "wait"}, {"queue", "get"}, {"concurrent.futures.thread", "_worker"}})},
      {"idle-worker-of-pool", "idle", Status::idle, false,
       on({{"threading", "wait"}, {"queue", "get"}, {"multiprocessing.pool", "worker"}})},
      {"idle-worker-of-pool", "idle", Status::idle, false,
       [](ThreadBuilder& t) {
         t.frame("pool.py", 1, "worker", "multiprocessing.pool")
             .waits_for(sync_object(pyframes::PySyncKind::simple_queue, 0x7000));
       }},
      {"stop-the-world", "stop-the-world", Status::blocked, false,
       asleep_on(pyframes::PySyncKind::stop_the_world)},
      {"stopping-the-world", "stop-the-world", Status::blocked, false,
       asleep_on(pyframes::PySyncKind::stop_event)},
      {"critical-section", "critical-section", Status::blocked, false,
       asleep_on(pyframes::PySyncKind::object_mutex)},
      {"condition-reacquire", "rlock", Status::blocked, false, reacquires(rlock(0x7000, 12))},
      {"condition-reacquire", "lock", Status::blocked, false, reacquires(lock(0x7000))},
      {"barrier-enter", "barrier", Status::blocked, false,
       on({{"threading", "wait"}, {"threading", "_enter"}})},
      {"condition-wait-for", "condition", Status::waiting, false,
       on({{"threading", "wait"}, {"threading", "wait_for"}})},
      {"simple-queue-word", "queue-get", Status::waiting, false,
       asleep_on(pyframes::PySyncKind::simple_queue)},
      {"thread-handle", "handle", Status::blocked, false, asleep_on(pyframes::PySyncKind::thread)},
      {"sem-lock-word", "sem-lock", Status::blocked, false, asleep_on(pyframes::PySyncKind::sem_lock)},
      {"stream-lock", "io-lock", Status::blocked, false, asleep_on(pyframes::PySyncKind::buffered)},
      {"c-object-lock", "c-lock", Status::blocked, false, asleep_on(pyframes::PySyncKind::c_object)},
      {"mutex-word", "c-lock", Status::blocked, false, asleep_on(pyframes::PySyncKind::pymutex)},
      {"native-mutex", "native-mutex", Status::blocked, false,
       [](ThreadBuilder& t) {
         native_futex(t, {2, 0, 12, 1, 0, 0});
       }},
      {"native-mutex-function", "native-mutex", Status::blocked, false,
       [](ThreadBuilder& t) {
         native_futex(t, {1, 0, 0, 0, 0, 0}, "__lll_lock_wait");
       }},
      {"native-rwlock", "native-rwlock", Status::blocked, false,
       [](ThreadBuilder& t) {
         native_futex(t, {3, 0, 0, 0, 12, 0}, "pthread_rwlock_rdlock");
       }},
      {"native-condition", "native-condition", Status::waiting, false,
       [](ThreadBuilder& t) {
         native_futex(t, {0, 0, 0, 0, 0, 0}, "pthread_cond_wait@@GLIBC_2.3.2");
       }},
      {"event-loop", "loop", Status::idle, false,
       [](ThreadBuilder& t) {
         stand_on(t, {{"selectors", "select"}, {"asyncio.base_events", "_run_once"}});
         t.sleeps_in(SYS_epoll_wait, 4, 0, 64, 0xffffffff);
       }},
      {"thread-shutdown", "shutdown", Status::blocked, true,
       futex_on({{"threading", "join"}, {"threading", "_shutdown"}})},
      {"futures-wait", "future", Status::blocked, false,
       on({{"threading", "wait"}, {"threading", "wait"}, {"concurrent.futures._base", "wait"}})},
      {"futures-as-completed", "future", Status::blocked, false,
       on({{"threading", "wait"}, {"threading", "wait"}, {"concurrent.futures._base", "as_completed"}})},
      {"barrier-wait", "barrier", Status::blocked, false,
       on({{"threading", "wait"}, {"threading", "wait_for"}, {"threading", "_wait"}})},
      {"event-wait", "event", Status::waiting, false, on({{"threading", "wait"}, {"threading", "wait"}})},
      {"queue-get", "queue-get", Status::waiting, false, on({{"threading", "wait"}, {"queue", "get"}})},
      {"queue-put", "queue-put", Status::blocked, false, on({{"threading", "wait"}, {"queue", "put"}})},
      {"queue-join", "queue-join", Status::blocked, false, on({{"threading", "wait"}, {"queue", "join"}})},
      {"semaphore-acquire", "semaphore", Status::blocked, false,
       on({{"threading", "wait"}, {"threading", "acquire"}})},
      {"future-result", "future", Status::blocked, false,
       on({{"threading", "wait"}, {"concurrent.futures._base", "result"}})},
      {"future-exception", "future", Status::blocked, false,
       on({{"threading", "wait"}, {"concurrent.futures._base", "exception"}})},
      {"condition-wait", "condition", Status::waiting, false, on({{"threading", "wait"}})},
      {"thread-shutdown", "shutdown", Status::blocked, false,
       on({{"threading", "_wait_for_tstate_lock"}, {"threading", "_shutdown"}})},
      {"thread-shutdown", "shutdown", Status::blocked, false,
       on({{"threading", "_wait_for_tstate_lock"}, {"threading", "join"}, {"threading", "_shutdown"}})},
      {"thread-shutdown", "shutdown", Status::blocked, true, futex_on({{"threading", "_shutdown"}})},
      {"thread-join", "join", Status::blocked, false,
       on({{"threading", "_wait_for_tstate_lock"}, {"threading", "join"}})},
      {"thread-join", "join", Status::blocked, true, futex_on({{"threading", "join"}})},
      {"import-lock", "import", Status::blocked, false, on({{"importlib._bootstrap", "acquire"}})},
      {"import-lock", "import", Status::blocked, false, on({{"_frozen_importlib", "acquire"}})},
      {"rlock-word", "rlock", Status::blocked, false,
       [](ThreadBuilder& t) {
         t.frame("a.py", 1, "f").waits_for(rlock(0x7000, 12)).python().lock_wait->rule.clear();
       }},
      {"lock-word", "lock", Status::blocked, true,
       [](ThreadBuilder& t) {
         t.frame("a.py", 1, "f").waits_for(lock(0x7000), 0x7ffc).python().lock_wait->rule.clear();
       }},
      {"futex-call", "futex", Status::blocked, false, call(SYS_futex, 0x7000)},
      {"read-call", "read", Status::waiting, std::nullopt, call(SYS_recvfrom, 7)},
      {"write-call", "write", Status::waiting, std::nullopt, call(SYS_write, 1)},
      {"poll-call", "poll", Status::waiting, false, call(SYS_poll, 0x7000, 1, 0xffffffff)},
      {"poll-call", "poll", Status::waiting, true, call(SYS_epoll_wait, 4, 0, 64, 500)},
      {"poll-call", "poll", Status::waiting, true, call(SYS_select, 1, 0, 0, 0, 0x7ffc)},
      {"sleep-without-descriptors", "sleep", Status::waiting, true, call(SYS_select, 0, 0, 0, 0, 0x7ffc)},
      {"sleep-without-descriptors", "sleep", Status::waiting, true, call(SYS_poll, 0, 0, 500)},
      {"interpreter-queue-get", "queue-get", Status::waiting, std::nullopt, polls("get")},
      {"interpreter-queue-put", "queue-put", Status::blocked, std::nullopt, polls("put")},
      {"sleep-call", "sleep", Status::waiting, true, call(SYS_clock_nanosleep)},
      {"accept-call", "accept", Status::waiting, std::nullopt, call(SYS_accept4, 5)},
      {"connect-call", "connect", Status::waiting, std::nullopt, call(SYS_connect, 5)},
      {"child-call", "child", Status::waiting, false, call(SYS_wait4)},
      {"file-lock-call", "file-lock", Status::blocked, false, call(SYS_flock, 9)},
      {"semaphore-call", "semaphore", Status::blocked, false, call(SYS_semop)},
      {"open-call", "open", Status::waiting, false, call(SYS_openat)},
      {"signal-call", "signal", Status::waiting, false, call(SYS_pause)},
      {"job-control-stop", "signal", Status::waiting, std::nullopt,
       [](ThreadBuilder& t) { t.frame("a.py", 1, "f").os().os.state = 'T'; }},
      {"unknown", "unknown", Status::waiting, std::nullopt, call(SYS_restart_syscall)},
  };
}

TEST(WaitRules, EachRowIsFiredByACase) {
  std::multiset<std::string> fired;
  for (const Case& each : cases()) {
    SCOPED_TRACE(each.rule + " " + each.kind);
    SnapshotBuilder builder(10);
    ThreadBuilder thread = builder.thread(10, "MainThread");
    each.set_up(thread);
    const Classification found = classify_first(builder);
    ASSERT_TRUE(found.wait.has_value());
    EXPECT_EQ(found.wait->kind, each.kind);
    EXPECT_EQ(found.wait->evidence.rule, each.rule);
    EXPECT_EQ(found.wait->timeout, each.timeout);
    EXPECT_EQ(found.status, each.status);
    EXPECT_FALSE(found.wait->evidence.text.empty());
    fired.insert(found.wait->evidence.rule);
  }
  std::map<std::string, std::size_t> rows;
  for (const report::WaitRule& rule : report::wait_rules()) ++rows[std::string(rule.rule)];
  for (const auto& [rule, count] : rows) {
    EXPECT_GE(fired.count(rule), count) << "a row of " << rule << " is fired by no case";
  }
}

TEST(WaitRules, TheLastRowIsUnknownAndEveryRowHasItsSentence) {
  EXPECT_EQ(report::wait_rules().back().kind, "unknown");
  for (const report::WaitRule& rule : report::wait_rules()) {
    EXPECT_FALSE(rule.sentence.empty()) << rule.rule;
    EXPECT_FALSE(rule.rule.empty());
  }
}

TEST(WaitRules, RegistersOutsideOfAnyCallWinOverTheStateBefore) {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread").frame("a.py", 1, "f");  // state 'S', registers, no call
  const Classification found = classify_first(builder);
  EXPECT_EQ(found.status, Status::running);
  EXPECT_FALSE(found.wait.has_value());
}

TEST(WaitRules, ASleeperWithoutRegistersIsUnknownAndNotRunning) {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread").frame("a.py", 1, "f").not_held().os().os.state = 'D';
  const Classification found = classify_first(builder);
  ASSERT_TRUE(found.wait.has_value());
  EXPECT_EQ(found.wait->kind, "unknown");
  EXPECT_EQ(found.wait->certainty, report::Certainty::possible);
}

TEST(WaitRules, ADescriptorIsTaken) {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread").frame("a.py", 1, "f").sleeps_in(SYS_read, 7);
  EXPECT_EQ(classify_first(builder).wait->descriptor, 7);
}

TEST(WaitRules, AnOwnFunctionCalledWaitIsNoCondition) {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread").frame("/srv/app.py", 3, "wait", "app").waits_for(lock(0x7000));
  EXPECT_EQ(classify_first(builder).wait->kind, "lock");
}

TEST(WaitRules, ATrampolineDoesNotHideTheFunctionBelowIt) {
  SnapshotBuilder builder(10);
  ThreadBuilder thread = builder.thread(10, "MainThread");
  thread.frame("<shim>", 0, "<shim>", "");
  thread.python().frames.back().trampoline = true;
  stand_on(thread, {{"threading", "wait"}});
  thread.waits_for(lock(0x7000));
  EXPECT_EQ(classify_first(builder).wait->kind, "condition");
}

TEST(JoinedThreads, KeepsEachThreadOnceWhateverTheListsSay) {
  SnapshotBuilder builder(10);
  builder.thread(10, "MainThread");
  builder.native_thread(11, "jemalloc_bg_thd");
  builder.thread(12, "gone");
  builder.snapshot().threads.pop_back();                                // the kernel has no 12 any more
  builder.snapshot().threads.push_back(builder.snapshot().threads[0]);  // and lists 10 twice
  const Snapshot snapshot = builder.build();
  const auto threads = report::join_threads(snapshot);
  std::map<pid_t, int> python;
  for (const auto& thread : threads) python[thread.tid()] += thread.python != nullptr ? 1 : 0;
  EXPECT_EQ(python, (std::map<pid_t, int>{{10, 1}, {11, 0}, {12, 1}}));
  EXPECT_EQ(threads.back().tid(), 12);
  EXPECT_EQ(threads.back().os, nullptr);
}

}  // namespace
}  // namespace pythreads::tests
