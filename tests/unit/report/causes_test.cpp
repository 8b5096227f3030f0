// Each kind of cause beside its healthy twins: what looks nearly the same and must not be called one.
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <functional>

#include "report/analysis/analyse.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using pyframes::PyHoldTrust;
using pyframes::PySyncKind;
using pyframes::PyTrigger;
using report::Cause;
using report::Certainty;
using report::Findings;
using report::Node;
using report::Snapshot;
using report::Verdict;

constexpr std::uint64_t first = 0x7f1110, second = 0x7f2220, third = 0x7f3330;
constexpr std::uint64_t some_limit = 0x7ffc0010;

Findings findings_of(const SnapshotBuilder& builder) {
  const Snapshot snapshot = builder.build();
  return report::analyse(std::span(&snapshot, 1));
}

const Cause* find_cause(const Findings& findings, std::string_view kind) {
  const auto found = std::find_if(findings.causes.begin(), findings.causes.end(),
                                  [&](const Cause& each) { return each.kind == kind; });
  return found == findings.causes.end() ? nullptr : &*found;
}

#define EXPECT_ONE_CAUSE(findings, expected_kind, expected_verdict)          \
  do {                                                                       \
    ASSERT_EQ((findings).causes.size(), 1U) << (findings).summary;           \
    EXPECT_EQ((findings).causes[0].kind, (expected_kind));                   \
    EXPECT_EQ((findings).verdict, (expected_verdict)) << (findings).summary; \
    EXPECT_EQ((findings).summary, (findings).causes[0].sentence);            \
  } while (false)

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

pyframes::PySyncObject named(pyframes::PySyncObject object, std::string name) {
  object.name = std::move(name);
  return object;
}

// ---- lock cycles

SnapshotBuilder crossed_locks(std::uint64_t limit, PyHoldTrust trust) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one")
      .frame("/srv/bank.py", 21, "transfer")
      .waits_for(named(lock(second), "bank.LOCK_B"), limit)
      .holds(named(lock(first), "bank.LOCK_A"), 0, 20);
  bank.thread(12, "two")
      .frame("/srv/bank.py", 31, "refund")
      .waits_for(named(lock(first), "bank.LOCK_A"))
      .holds(named(lock(second), "bank.LOCK_B"), 0, 30, trust);
  return bank;
}

TEST(Causes, TheSentenceOfACycleNamesThreadsLocksAndFourLines) {
  const Findings findings = findings_of(crossed_locks(0, PyHoldTrust::certain));
  EXPECT_ONE_CAUSE(findings, "lock-cycle", Verdict::deadlock);
  EXPECT_EQ(
      findings.summary,
      "\"one\" (tid 11) waits at bank.py:21 in transfer for bank.LOCK_B (Lock 0x7f2220), held by \"two\" "
      "(tid 12), which took it at bank.py:30 in refund and waits at bank.py:31 in refund for "
      "bank.LOCK_A (Lock 0x7f1110), held by \"one\" (tid 11), which took it at bank.py:20 in transfer; "
      "nothing will end it");
}

TEST(Causes, ATimeLimitIsToldWithItsEnd) {
  SnapshotBuilder bank = crossed_locks(some_limit, PyHoldTrust::certain);
  bank.snapshot().threads[0].os.futex.emplace().ends_in_ms = 4200;
  const Findings findings = findings_of(bank);
  EXPECT_ONE_CAUSE(findings, "lock-cycle", Verdict::possible_deadlock);
  EXPECT_SAYS(findings.summary, "a time limit ends it in 4.2 s");
}

TEST(Causes, AnInferredHoldIsEnoughAndALikelyOneIsNot) {
  EXPECT_EQ(findings_of(crossed_locks(0, PyHoldTrust::inferred)).verdict, Verdict::deadlock);
  const Findings likely = findings_of(crossed_locks(0, PyHoldTrust::likely));
  EXPECT_ONE_CAUSE(likely, "lock-cycle", Verdict::possible_deadlock);
  EXPECT_EQ(likely.causes[0].certainty, Certainty::likely);
}

TEST(Causes, ALockThatIsHandedOverIsNoCycle) {
  // Released, and its waiter not on its feet yet.
  SnapshotBuilder bank = crossed_locks(0, PyHoldTrust::certain);
  pyframes::PySyncObject free = lock(first);
  free.locked = false;
  bank.knows(free);
  EXPECT_TRUE(findings_of(bank).causes.empty());
  // Already woken: not in the kernel any more.
  bank = crossed_locks(0, PyHoldTrust::certain);
  bank.snapshot().threads[1].os.kernel_wait.reset();
  bank.interpreter().threads[1].lock_wait.reset();
  EXPECT_TRUE(findings_of(bank).causes.empty());
  EXPECT_EQ(findings_of(bank).verdict, Verdict::running);
}

// ---- a thread against itself

SnapshotBuilder reentry(PyTrigger trigger, std::size_t held_in) {
  SnapshotBuilder bank(10);
  bank.thread(10, "MainThread")
      .frame("/srv/cache.py", 7, "drop")
      .frame("/srv/cache.py", 12, "__del__")
      .began_as(trigger)
      .frame("/srv/cache.py", 40, "put")
      .waits_for(lock(first))
      .holds(lock(first), held_in, 39);
  return bank;
}

TEST(Causes, AFinalizerThatWaitsForWhatItInterruptedIsNamed) {
  const Findings findings = findings_of(reentry(PyTrigger::finalizer, 2));
  EXPECT_ONE_CAUSE(findings, "finalizer-reentry", Verdict::deadlock);
  EXPECT_SAYS(findings.summary, "the finalizer __del__ (cache.py:12) ran in the middle of put (cache.py:40)");
  EXPECT_EQ(findings_of(reentry(PyTrigger::gc, 2)).causes.at(0).kind, "finalizer-reentry");
}

TEST(Causes, ASignalHandlerThatWaitsForWhatItInterruptedIsNamed) {
  const Findings findings = findings_of(reentry(PyTrigger::signal_handler, 2));
  EXPECT_ONE_CAUSE(findings, "signal-reentry", Verdict::deadlock);
  EXPECT_SAYS(findings.summary, "the signal handler __del__ (cache.py:12)");
}

TEST(Causes, WhatAHandlerTookItselfItDidNotInterrupt) {
  EXPECT_EQ(findings_of(reentry(PyTrigger::signal_handler, 1)).causes.at(0).kind, "self-deadlock");
  EXPECT_EQ(findings_of(reentry(PyTrigger::atexit, 2)).causes.at(0).kind, "self-deadlock");
  EXPECT_EQ(findings_of(reentry(PyTrigger::none, 2)).causes.at(0).kind, "self-deadlock");
}

// ---- owners that are gone

TEST(Causes, AnOwnerThatEndedLeavesItsWaitersBehind) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(first, 99), some_limit);
  bank.thread(12, "two").frame("a.py", 2, "g").waits_for(rlock(first, 99)).holds(lock(second), 0, 2);
  bank.thread(13, "three").frame("a.py", 3, "h").waits_for(lock(second));
  const Findings findings = findings_of(bank);
  EXPECT_ONE_CAUSE(findings, "owner-exited", Verdict::deadlock);
  EXPECT_EQ(findings.causes[0].nodes, (std::vector<Node>{{10, 12}}));
  EXPECT_EQ(findings.causes[0].behind, (std::vector<Node>{{10, 13}}));
}

TEST(Causes, AnOwnerGoneIsOnlyPossiblyADeadlockForWhoWaitsWithALimit) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(first, 99), some_limit);
  EXPECT_ONE_CAUSE(findings_of(bank), "owner-exited", Verdict::possible_deadlock);
}

TEST(Causes, AForkCopiesALockWithoutItsHolder) {
  SnapshotBuilder child(10);
  child.snapshot().process.forked_from = 9;
  child.thread(10, "MainThread").frame("a.py", 1, "f").waits_for(rlock(first, 99));
  EXPECT_ONE_CAUSE(findings_of(child), "fork-orphan", Verdict::deadlock);
}

TEST(Causes, ALockOfAForkThatNobodyIsSeenToHoldIsLikelyAnOrphan) {
  SnapshotBuilder child(10);
  child.snapshot().process.forked_from = 9;
  child.thread(10, "MainThread").frame("a.py", 1, "f").waits_for(lock(first));
  EXPECT_ONE_CAUSE(findings_of(child), "fork-orphan", Verdict::possible_deadlock);
  // Who runs may have taken it where nobody can see it.
  ThreadBuilder other = child.thread(11, "other").frame("a.py", 2, "g");
  other.runs();
  EXPECT_TRUE(findings_of(child).causes.empty());
  // Who is seen to have taken it has it.
  other.sleeps_in(SYS_read, 3).holds(lock(first), 0, 2);
  EXPECT_EQ(findings_of(child).causes.at(0).kind, "contention");
}

TEST(Causes, AnIdentAloneNamesNoOwnerInAFork) {
  SnapshotBuilder child(10);
  child.snapshot().process.forked_from = 9;
  child.thread(10, "MainThread").frame("a.py", 1, "f").waits_for(rlock(first, 11));
  child.thread(11, "new")
      .waits_inside({{"threading", "wait"}, {"threading", "wait"}}, sync_object(PySyncKind::event, third))
      .frame("a.py", 2, "g");
  EXPECT_ONE_CAUSE(findings_of(child), "fork-orphan", Verdict::possible_deadlock);
  child.snapshot().process.forked_from.reset();
  for (const Cause& cause : findings_of(child).causes) EXPECT_NE(cause.kind, "fork-orphan");
}

// It may have taken the lock after the fork, in a call that has returned.
TEST(Causes, ALockOfAForkIsNoOrphanWhileAThreadIsLeftThatMayReleaseIt) {
  for (const pyframes::PySyncObject& waited : {lock(first), rlock(first, 11)}) {
    SnapshotBuilder child(10);
    child.snapshot().process.forked_from = 9;
    child.thread(10, "MainThread").frame("a.py", 1, "f").waits_for(waited);
    child.thread(11, "worker").frame("a.py", 2, "g").sleeps_in(SYS_read, 3);
    const Findings findings = findings_of(child);
    EXPECT_TRUE(findings.causes.empty());
    EXPECT_LE(findings.verdict, Verdict::unknown);
  }
}

// ---- joins and imports

pyframes::PySyncObject thread_object(std::uint64_t address, pid_t tid) {
  pyframes::PySyncObject object = sync_object(PySyncKind::thread, address);
  object.thread_ident = ident_of(tid);
  return object;
}

SnapshotBuilder joins_while_holding(std::uint64_t limit) {
  SnapshotBuilder bank(10);
  bank.thread(10, "MainThread")
      .waits_inside({{"threading", "join"}}, thread_object(third, 11), limit)
      .frame("/srv/bank.py", 50, "stop")
      .holds(lock(first), 1, 49);
  bank.thread(11, "worker").frame("/srv/bank.py", 31, "work").waits_for(lock(first));
  return bank;
}

TEST(Causes, AJoinWhileHoldingWhatTheJoinedThreadNeeds) {
  const Findings findings = findings_of(joins_while_holding(0));
  EXPECT_ONE_CAUSE(findings, "join-cycle", Verdict::deadlock);
  EXPECT_SAYS(findings.summary,
              "\"MainThread\" (tid 10) waits at bank.py:50 in stop for the end of \"worker\" (tid 11), which "
              "waits at bank.py:31 in work for Lock 0x7f1110, held by \"MainThread\" (tid 10), which took it "
              "at bank.py:49 in stop");
  EXPECT_EQ(findings_of(joins_while_holding(some_limit)).verdict, Verdict::possible_deadlock);
}

TEST(Causes, AJoinOfAThreadThatHasEndedIsNoCycle) {
  SnapshotBuilder bank = joins_while_holding(0);
  pyframes::PySyncObject ended = thread_object(third, 11);
  ended.finished = true;
  bank.knows(ended);
  EXPECT_TRUE(findings_of(bank).causes.empty());
}

TEST(Causes, TwoThreadsThatImportEachOthersModules) {
  SnapshotBuilder app(10);
  const auto module_lock = [](std::uint64_t address, pid_t owner, const char* name) {
    pyframes::PySyncObject object = sync_object(PySyncKind::module_lock, address);
    object.owner_field = true;
    object.owner_ident = ident_of(owner);
    object.locked = true;
    object.detail.push_back({"module", std::string(name)});
    return object;
  };
  app.thread(11, "one")
      .waits_inside({{"importlib._bootstrap", "acquire"}}, module_lock(first, 12, "shop.b"))
      .frame("/srv/shop/a.py", 1, "<module>", "shop.a");
  app.knows(module_lock(second, 11, "shop.a"));
  app.thread(12, "two")
      .waits_inside({{"importlib._bootstrap", "acquire"}}, module_lock(second, 11, "shop.a"))
      .frame("/srv/shop/b.py", 1, "<module>", "shop.b");
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "import-cycle", Verdict::deadlock);
  EXPECT_SAYS(findings.summary, "for the import of shop.b (ModuleLock 0x7f1110), which is done by \"two\"");
}

// ---- pools and loops

pyframes::PySyncObject future(std::uint64_t address, std::uint64_t queue) {
  pyframes::PySyncObject object = sync_object(PySyncKind::future, address);
  object.finished = false;
  object.queue = attach::Address(queue);
  return object;
}

void add_starved_worker(SnapshotBuilder& app, pid_t tid, std::uint64_t waited) {
  app.thread(tid, "pool_" + std::to_string(tid))
      .waits_inside({{"threading", "wait"}, {"concurrent.futures._base", "result"}}, future(waited, 0x5000))
      .frame("/srv/app.py", 8, "outer")
      .frame("/usr/lib/thread.py", 58, "run", "concurrent.futures.thread")
      .frame("/usr/lib/thread.py", 83, "_worker", "concurrent.futures.thread")
      .notes(4, "work_queue", sync_object(PySyncKind::simple_queue, 0x5000));
}

SnapshotBuilder starved_pool(std::int64_t most) {
  SnapshotBuilder app(10);
  pyframes::PySyncObject executor = sync_object(PySyncKind::executor, 0x4000);
  executor.capacity = most;
  executor.queue = attach::Address(0x5000);
  app.knows(executor);
  add_starved_worker(app, 11, first);
  add_starved_worker(app, 12, second);
  return app;
}

TEST(Causes, APoolWhoseWorkersAllWaitForItsOwnQueue) {
  const Findings findings = findings_of(starved_pool(2));
  EXPECT_ONE_CAUSE(findings, "pool-starvation", Verdict::deadlock);
  EXPECT_EQ(findings.causes[0].nodes.size(), 2U);
  EXPECT_SAYS(findings.summary, "both workers of the pool wait");
}

// A worker that waits for any of two futures, noted in this order, as a set has it.
SnapshotBuilder waiting_for_several(std::uint64_t one, std::uint64_t other) {
  SnapshotBuilder app(10);
  pyframes::PySyncObject executor = sync_object(PySyncKind::executor, 0x4000);
  executor.capacity = 1;
  executor.queue = attach::Address(0x5000);
  app.knows(executor);
  const auto element = [](std::uint64_t address) {
    return named(future(address, 0x5000), address == first ? "app.outer.fs[0]" : "app.outer.fs[1]");
  };
  app.thread(11, "pool_11")
      .waits_inside({{"threading", "wait"}, {"threading", "wait"}, {"concurrent.futures._base", "wait"}},
                    element(one), 0, "pending")
      .notes(2, "pending", element(other))
      .frame("/srv/app.py", 8, "outer")
      .frame("/usr/lib/thread.py", 83, "_worker", "concurrent.futures.thread")
      .notes(4, "work_queue", sync_object(PySyncKind::simple_queue, 0x5000));
  return app;
}

TEST(Causes, WhichOfSeveralFuturesComesFirstChangesNoFingerprint) {
  const Findings findings = findings_of(waiting_for_several(first, second));
  EXPECT_ONE_CAUSE(findings, "pool-starvation", Verdict::deadlock);
  EXPECT_EQ(findings.fingerprint, findings_of(waiting_for_several(second, first)).fingerprint);
}

TEST(Causes, ALongNameOfAThreadIsCutInSentences) {
  SnapshotBuilder bank = crossed_locks(0, PyHoldTrust::certain);
  for (int i = 0; i < 150; ++i) bank.interpreter().threads[0].name += "ß";
  const Findings findings = findings_of(bank);
  std::string name = "\"one";
  for (int i = 0; i < 77; ++i) name += "ß";
  EXPECT_SAYS(findings.summary, name + "…\" (tid 11)");
}

TEST(Causes, APoolThatMayStartAnotherWorkerIsOnlyPossiblyStarved) {
  EXPECT_ONE_CAUSE(findings_of(starved_pool(3)), "pool-starvation", Verdict::possible_deadlock);
}

TEST(Causes, ABusyPoolIsNotStarved) {
  SnapshotBuilder app = starved_pool(3);
  app.thread(13, "pool_13")
      .frame("/srv/app.py", 5, "inner")
      .frame("/usr/lib/thread.py", 58, "run", "concurrent.futures.thread")
      .frame("/usr/lib/thread.py", 83, "_worker", "concurrent.futures.thread")
      .notes(2, "work_queue", sync_object(PySyncKind::simple_queue, 0x5000))
      .sleeps_in(SYS_clock_nanosleep);
  const Findings sleeping = findings_of(app);
  EXPECT_TRUE(sleeping.causes.empty());
  EXPECT_EQ(sleeping.verdict, Verdict::waiting);
}

TEST(Causes, AWorkerThatWaitsForAnotherWorkerIsAPartOfTheStarvation) {
  SnapshotBuilder app = starved_pool(3);
  app.interpreter().threads[0].held.clear();
  app.thread(13, "pool_13")
      .frame("/srv/app.py", 5, "inner")
      .frame("/usr/lib/thread.py", 83, "_worker", "concurrent.futures.thread")
      .notes(1, "work_queue", sync_object(PySyncKind::simple_queue, 0x5000))
      .waits_for(rlock(third, 11), some_limit);
  app.interpreter().threads[0].held.push_back({attach::Address(third),
                                               PyHoldTrust::certain,
                                               false,
                                               2,
                                               {"/srv/app.py", 7, "outer"},
                                               "with-block",
                                               "…"});
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "pool-starvation", Verdict::possible_deadlock);
  EXPECT_TRUE(findings.causes[0].timed);
}

TEST(Causes, ThePoolIsTheSameWhateverItsWorkersNumbersAre) {
  SnapshotBuilder other(70);
  other.knows(starved_pool(2).build().runtime.sync_objects.front());
  add_starved_worker(other, 99, second);
  add_starved_worker(other, 98, first);
  EXPECT_EQ(findings_of(other).fingerprint, findings_of(starved_pool(2)).fingerprint);
}

pyframes::PySyncObject loop_future(std::uint64_t loop) {
  pyframes::PySyncObject object = sync_object(PySyncKind::future, first);
  object.finished = false;
  object.loop = attach::Address(loop);
  return object;
}

ThreadBuilder loop_thread(SnapshotBuilder& app, pid_t tid) {
  return app.thread(tid, "loop");
}

TEST(Causes, ALoopsOwnThreadWaitsForItsLoop) {
  SnapshotBuilder app(10);
  loop_thread(app, 10)
      .waits_inside({{"threading", "wait"}, {"concurrent.futures._base", "result"}}, loop_future(0x8000))
      .frame("/srv/app.py", 8, "handler")
      .frame("/usr/lib/base_events.py", 1, "_run_once", "asyncio.base_events")
      .notes(3, "self", sync_object(PySyncKind::event_loop, 0x8000));
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "loop-waits-on-itself", Verdict::deadlock);
  EXPECT_SAYS(findings.summary, "which only its own event loop could complete");
}

SnapshotBuilder loop_and_asker(const std::function<void(ThreadBuilder&)>& does) {
  SnapshotBuilder app(10);
  ThreadBuilder loop = loop_thread(app, 10);
  does(loop);
  app.thread(11, "asker")
      .waits_inside({{"threading", "wait"}, {"concurrent.futures._base", "result"}}, loop_future(0x8000))
      .frame("/srv/app.py", 30, "ask");
  return app;
}

TEST(Causes, ALoopThatSleepsInACallbackKeepsOthersWaiting) {
  const Findings findings = findings_of(loop_and_asker([](ThreadBuilder& loop) {
    loop.frame("/srv/app.py", 8, "handler")
        .frame("/usr/lib/base_events.py", 1, "_run_once", "asyncio.base_events")
        .notes(1, "self", sync_object(PySyncKind::event_loop, 0x8000))
        .sleeps_in(SYS_clock_nanosleep);
  }));
  EXPECT_ONE_CAUSE(findings, "loop-blocked", Verdict::stalled);
  EXPECT_EQ(findings.causes[0].behind, (std::vector<Node>{{10, 11}}));
  EXPECT_SAYS(findings.summary, "because its thread sleeps at app.py:8 in handler");
}

TEST(Causes, ALoopInItsSelectorIsIdle) {
  const Findings findings = findings_of(loop_and_asker([](ThreadBuilder& loop) {
    loop.frame("/usr/lib/selectors.py", 1, "select", "selectors")
        .frame("/usr/lib/base_events.py", 1, "_run_once", "asyncio.base_events")
        .notes(1, "self", sync_object(PySyncKind::event_loop, 0x8000))
        .sleeps_in(SYS_epoll_wait, 4, 0, 64, 0xffffffff);
  }));
  EXPECT_TRUE(findings.causes.empty());
  EXPECT_EQ(findings.verdict, Verdict::waiting);
}

// ---- the GIL

TEST(Causes, TheGilAgainstANativeMutex) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("a.py", 1, "f").waits_for_gil();
  app.thread(12, "two").frame("a.py", 2, "g").holds_gil().waits_for_mutex(0x7f9990, 11);
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "gil-native-cycle", Verdict::deadlock);
}

TEST(Causes, AGilHolderThatWaitsForAMutexOfARunningThreadOnlyStalls) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("a.py", 1, "f").waits_for_gil();
  app.thread(12, "two").frame("a.py", 2, "g").holds_gil().waits_for_mutex(0x7f9990, 13);
  app.native_thread(13, "renderer").runs();
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "gil-held-in-native", Verdict::stalled);
}

TEST(Causes, TheCallThatHoldsTheGilIsNamed) {
  SnapshotBuilder app(10);
  app.thread(11, "one")
      .frame("/srv/a.py", 4, "load")
      .holds_gil()
      .sleeps_in(SYS_read, 3)
      .native("read", "/usr/lib/libc.so.6")
      .native("frob_load", "/opt/libfrob.so.2");
  app.thread(12, "two").frame("a.py", 2, "g").waits_for_gil();
  app.thread(13, "three").frame("a.py", 2, "g").waits_for_gil();
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "gil-held-in-native", Verdict::stalled);
  EXPECT_EQ(findings.summary,
            "at this moment \"one\" (tid 11) holds the GIL inside a native call and reads at a.py:4 in load "
            "(in read of libc.so.6, called by frob_load of libfrob.so.2), while 2 threads wait for it");
}

TEST(Causes, ATimedNativeWaitWithTheGilIsNoDeadlock) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("a.py", 1, "f").waits_for_gil();
  ThreadBuilder two = app.thread(12, "two");
  two.frame("a.py", 2, "g").holds_gil().waits_for_mutex(0x7f9990, 11);
  two.os().os.kernel_wait->arguments[3] = some_limit;
  EXPECT_ONE_CAUSE(findings_of(app), "gil-held-in-native", Verdict::stalled);
}

TEST(Causes, AGilHolderWithoutWaitersStallsNobody) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("a.py", 1, "f").holds_gil().sleeps_in(SYS_read, 3);
  EXPECT_EQ(findings_of(app).verdict, Verdict::waiting);
}

// ---- conditions, events, semaphores, queues

SnapshotBuilder nested_monitor(bool holds) {
  SnapshotBuilder app(10);
  const pyframes::PySyncObject event = sync_object(PySyncKind::event, second);
  ThreadBuilder waiter = app.thread(11, "waiter");
  waiter.waits_inside({{"threading", "wait"}, {"threading", "wait"}}, event).frame("/srv/a.py", 10, "use");
  if (holds) waiter.holds(lock(first), 2, 9);
  ThreadBuilder setter = app.thread(12, "setter").frame("/srv/a.py", 20, "fill").would_call(event, "set");
  setter.waits_for(lock(first));
  return app;
}

TEST(Causes, WhoWouldWakeNeedsWhatTheWaiterHolds) {
  const Findings findings = findings_of(nested_monitor(true));
  EXPECT_ONE_CAUSE(findings, "lost-wakeup", Verdict::possible_deadlock);
  EXPECT_EQ(findings.causes[0].certainty, Certainty::likely);
  EXPECT_SAYS(findings.summary, "and would be woken by \"setter\"");
}

TEST(Causes, AWakerWhoseLockIsHeldByOthersIsNoLostWakeup) {
  SnapshotBuilder app = nested_monitor(false);
  app.thread(13, "holder").frame("/srv/a.py", 30, "h").holds(lock(first), 0, 30).holds_gil().runs();
  EXPECT_TRUE(findings_of(app).causes.empty());
}

TEST(Causes, AWaiterThatWasWokenIsInNoCycle) {
  SnapshotBuilder app = nested_monitor(true);
  pyframes::PySyncObject waiter = waiter_lock(11);
  waiter.locked = false;
  app.knows(waiter);
  EXPECT_TRUE(findings_of(app).causes.empty());
}

TEST(Causes, ThreadsThatWouldWakeEachOtherAreIdle) {
  // A ping-pong, or workers that all take and give: work comes from elsewhere.
  SnapshotBuilder app(10);
  const pyframes::PySyncObject condition = sync_object(PySyncKind::condition, first);
  for (const pid_t tid : {11, 12, 13}) {
    app.thread(tid, "worker")
        .waits_inside({{"threading", "wait"}}, condition)
        .frame("/srv/a.py", 10, "play")
        .would_call(condition, "notify", 1);
  }
  const Findings findings = findings_of(app);
  EXPECT_TRUE(findings.causes.empty());
  EXPECT_EQ(findings.verdict, Verdict::waiting);
}

SnapshotBuilder permits(std::optional<std::int64_t> initially, int holders) {
  SnapshotBuilder app(10);
  pyframes::PySyncObject semaphore = sync_object(PySyncKind::bounded_semaphore, first);
  semaphore.count = 0;
  semaphore.capacity = initially;
  for (int i = 0; i < holders; ++i) {
    ThreadBuilder thread = app.thread(11 + i, "taker");
    thread.waits_inside({{"threading", "wait"}, {"threading", "acquire"}}, semaphore)
        .frame("/srv/a.py", 12, "nested")
        .holds(semaphore, 2, 11);
    thread.python().held.back().permit = true;
  }
  return app;
}

TEST(Causes, EveryPermitIsHeldByWhoWaitsForOne) {
  const Findings findings = findings_of(permits(2, 2));
  EXPECT_ONE_CAUSE(findings, "resource-exhausted", Verdict::deadlock);
  EXPECT_EQ(findings.causes[0].nodes.size(), 2U);
  EXPECT_EQ(findings_of(permits(1, 1)).causes.at(0).kind, "resource-exhausted");
}

// Whoever has it may give it back; that nobody is left to do so is another matter.
TEST(Causes, APermitThatNobodyIsSeenToHoldMakesNoCycle) {
  for (const std::optional<std::int64_t> initially :
       {std::optional<std::int64_t>(3), std::optional<std::int64_t>()}) {
    SnapshotBuilder app = permits(initially, 2);
    EXPECT_ONE_CAUSE(findings_of(app), "resource-exhausted", Verdict::stalled);
    app.thread(20, "other").frame("/srv/a.py", 13, "work").sleeps_in(SYS_read);
    EXPECT_LE(findings_of(app).verdict, Verdict::unknown);
  }
}

// ---- ways out

SnapshotBuilder pair_of_locks() {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("/srv/a.py", 12, "f").waits_for(lock(first)).holds(lock(second), 0, 11);
  bank.thread(12, "two").frame("/srv/a.py", 22, "g").waits_for(lock(second)).holds(lock(first), 0, 21);
  return bank;
}

TEST(Causes, ALockThatAThirdThreadMayReleaseHoldsNobodyForGood) {
  SnapshotBuilder bank = pair_of_locks();
  EXPECT_ONE_CAUSE(findings_of(bank), "lock-cycle", Verdict::deadlock);
  bank.thread(20, "watchdog")
      .frame("/srv/a.py", 40, "watch")
      .sleeps_in(SYS_read)
      .would_call(lock(first), "release");
  EXPECT_LE(findings_of(bank).verdict, Verdict::unknown);
}

TEST(Causes, WhoMayReleaseItAndIsStuckBehindItIsNoWayOut) {
  SnapshotBuilder bank = pair_of_locks();
  bank.thread(20, "behind")
      .frame("/srv/a.py", 40, "watch")
      .waits_for(lock(second))
      .would_call(lock(first), "release");
  const Findings findings = findings_of(bank);
  EXPECT_ONE_CAUSE(findings, "lock-cycle", Verdict::deadlock);
  EXPECT_EQ(findings.causes[0].nodes.size(), 2U);
}

TEST(Causes, WhoWaitsForTheSameLockIsNoWayOut) {
  SnapshotBuilder bank = pair_of_locks();
  bank.thread(20, "next")
      .frame("/srv/a.py", 40, "f")
      .waits_for(lock(first))
      .would_call(lock(first), "release");
  EXPECT_ONE_CAUSE(findings_of(bank), "lock-cycle", Verdict::deadlock);
}

TEST(Causes, APermitOfAThreadThatGoesOnEndsTheQueue) {
  SnapshotBuilder app = permits(3, 2);
  ThreadBuilder third_holder = app.thread(20, "worker").frame("/srv/a.py", 13, "work");
  third_holder.holds(sync_object(PySyncKind::bounded_semaphore, first), 0, 12).sleeps_in(SYS_clock_nanosleep);
  EXPECT_TRUE(findings_of(app).causes.empty());
}

TEST(Causes, AFullQueueWhoseReaderWaitsForItsWriter) {
  SnapshotBuilder app(10);
  const pyframes::PySyncObject queue = sync_object(PySyncKind::queue, second);
  app.thread(11, "writer")
      .waits_inside({{"threading", "wait"}, {"queue", "put"}}, queue)
      .frame("/srv/a.py", 5, "produce")
      .holds(lock(first), 2, 4);
  app.thread(12, "reader").frame("/srv/a.py", 15, "consume").would_call(queue, "get").waits_for(lock(first));
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "resource-exhausted", Verdict::possible_deadlock);
  EXPECT_SAYS(findings.summary, "which is full and would be emptied by \"reader\"");
}

// ---- stalls

TEST(Causes, NobodyIsLeftWhoCouldWake) {
  SnapshotBuilder app(10);
  const pyframes::PySyncObject queue = sync_object(PySyncKind::queue, second);
  app.thread(10, "MainThread")
      .waits_inside({{"threading", "join"}}, thread_object(third, 11))
      .frame("/srv/a.py", 5, "main");
  app.thread(11, "worker")
      .waits_inside({{"threading", "wait"}, {"queue", "get"}}, queue)
      .frame("/srv/a.py", 15, "consume");
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "lost-wakeup", Verdict::stalled);
  // Somebody on the outside may come back and put something.
  app.thread(12, "reader").frame("/srv/a.py", 25, "serve").sleeps_in(SYS_read, 5);
  EXPECT_TRUE(findings_of(app).causes.empty());
  EXPECT_EQ(findings_of(app).verdict, Verdict::waiting);
}

TEST(Causes, AFullQueueOfTheOnlyThreadThereIs) {
  SnapshotBuilder app(10);
  app.thread(10, "MainThread")
      .waits_inside({{"threading", "wait"}, {"queue", "put"}}, sync_object(PySyncKind::queue, second))
      .frame("/srv/a.py", 5, "fill");
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "resource-exhausted", Verdict::stalled);
  EXPECT_SAYS(findings.summary, "it is the only Python thread");
}

TEST(Causes, WaitingForASignalsHandlerIsHealth) {
  SnapshotBuilder app(10);
  app.thread(10, "MainThread")
      .waits_inside({{"threading", "wait"}, {"threading", "wait"}}, sync_object(PySyncKind::event, second))
      .frame("/srv/a.py", 5, "main");
  EXPECT_EQ(findings_of(app).verdict, Verdict::waiting);
}

TEST(Causes, LocksWithoutAKnownHolderAndNobodyLeftAreAStall) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("a.py", 1, "f").waits_for(lock(first));
  app.thread(12, "two").frame("a.py", 2, "g").waits_for(lock(second));
  const Findings findings = findings_of(app);
  EXPECT_EQ(findings.verdict, Verdict::stalled);
  EXPECT_TRUE(findings.causes.empty());
  // With a time limit it goes on by itself, and whoever runs may release them.
  app.thread(13, "three").frame("a.py", 3, "h").waits_for(lock(third), some_limit);
  EXPECT_EQ(findings_of(app).verdict, Verdict::unknown);
}

SnapshotBuilder at_exit(const std::function<void(ThreadBuilder&)>& does) {
  SnapshotBuilder app(10);
  app.thread(10, "MainThread")
      .waits_inside({{"threading", "join"}}, thread_object(third, 11))
      .frame("/usr/lib/threading.py", 1, "_shutdown", "threading");
  ThreadBuilder other = app.thread(11, "worker");
  does(other);
  return app;
}

TEST(Causes, AnExitThatWaitsForWhoNeverEnds) {
  const pyframes::PySyncObject queue = sync_object(PySyncKind::queue, second);
  const Findings findings = findings_of(at_exit([&](ThreadBuilder& t) {
    t.waits_inside({{"threading", "wait"}, {"queue", "get"}}, queue).frame("/srv/a.py", 15, "consume");
  }));
  EXPECT_ONE_CAUSE(findings, "shutdown-blocked", Verdict::stalled);
  EXPECT_SAYS(findings.summary, "waits for the end of \"worker\" (tid 11), which is no daemon");
}

TEST(Causes, AnExitThatWaitsForWhoWasJustWokenIsNoStall) {
  const pyframes::PySyncObject condition = sync_object(PySyncKind::condition, second);
  SnapshotBuilder app = at_exit([&](ThreadBuilder& t) {
    t.waits_inside({{"threading", "wait"}}, condition).frame("/srv/a.py", 15, "play");
  });
  EXPECT_EQ(findings_of(app).verdict, Verdict::stalled);
  pyframes::PySyncObject notified = waiter_lock(11);
  notified.locked = false;
  app.knows(notified);
  EXPECT_TRUE(findings_of(app).causes.empty());
  EXPECT_EQ(findings_of(app).verdict, Verdict::waiting);
}

TEST(Causes, AnExitThatWaitsForTheOutsideIsToldButNoStall) {
  const Findings findings = findings_of(
      at_exit([](ThreadBuilder& t) { t.frame("/srv/a.py", 15, "serve").sleeps_in(SYS_accept4, 3); }));
  EXPECT_ONE_CAUSE(findings, "shutdown-blocked", Verdict::waiting);
}

TEST(Causes, AnExitThatWaitsForWhoWorksOrSleepsIsHealth) {
  EXPECT_TRUE(findings_of(at_exit([](ThreadBuilder& t) {
                t.frame("/srv/a.py", 15, "work").sleeps_in(SYS_clock_nanosleep);
              })).causes.empty());
  EXPECT_EQ(findings_of(at_exit([](ThreadBuilder& t) { t.frame("/srv/a.py", 15, "work").runs(); })).verdict,
            Verdict::running);
}

TEST(Causes, AWorkerThatIsWaitedForWhileItReadsIsNoContention) {
  SnapshotBuilder app(10);
  app.thread(10, "MainThread")
      .waits_inside({{"threading", "join"}}, thread_object(third, 11))
      .frame("/srv/a.py", 5, "main");
  app.thread(11, "worker").frame("/srv/a.py", 15, "fetch").sleeps_in(SYS_recvfrom, 3);
  EXPECT_TRUE(findings_of(app).causes.empty());
  EXPECT_EQ(findings_of(app).verdict, Verdict::waiting);
}

TEST(Causes, AHolderOnTheOutsideIsContentionOnlyIfNobodyRuns) {
  SnapshotBuilder app(10);
  app.thread(11, "one").frame("/srv/a.py", 1, "f").waits_for(lock(first));
  app.thread(12, "two").frame("/srv/a.py", 2, "query").holds(lock(first), 0, 2).sleeps_in(SYS_recvfrom, 3);
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "contention", Verdict::stalled);
  EXPECT_SAYS(findings.summary, "holds Lock 0x7f1110, taken at a.py:2 in query and reads at a.py:2 in query");
  app.thread(13, "three").frame("/srv/a.py", 3, "h").runs();
  EXPECT_EQ(findings_of(app).verdict, Verdict::running);
}

// ---- order, size

TEST(Causes, TheGravestCauseComesFirst) {
  SnapshotBuilder app = crossed_locks(0, PyHoldTrust::certain);
  app.thread(21, "t1").frame("a.py", 1, "f").waits_for(rlock(third, 99), some_limit);
  const Findings findings = findings_of(app);
  ASSERT_EQ(findings.causes.size(), 2U);
  EXPECT_EQ(findings.causes[0].kind, "lock-cycle");
  EXPECT_EQ(findings.causes[1].kind, "owner-exited");
  EXPECT_NE(find_cause(findings, "owner-exited"), nullptr);
}

TEST(Causes, TenThousandThreadsInOneChainHangOnOneHolder) {
  constexpr pid_t count = 10000;
  SnapshotBuilder app(10);
  for (pid_t i = 0; i < count; ++i) {
    const auto own = 0x100000 + static_cast<std::uint64_t>(i) * 64;
    ThreadBuilder thread = app.thread(100 + i, "t").frame("a.py", 1, "f").holds(rlock(own), 0, 1);
    if (i + 1 < count) {
      thread.waits_for(rlock(own + 64, 101 + i));
    } else {
      thread.sleeps_in(SYS_read, 3);
    }
  }
  const Findings findings = findings_of(app);
  EXPECT_ONE_CAUSE(findings, "contention", Verdict::stalled);
  EXPECT_EQ(findings.causes[0].behind.size(), static_cast<std::size_t>(count - 1));
}

}  // namespace
}  // namespace pythreads::tests
