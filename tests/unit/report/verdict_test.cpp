#include <gtest/gtest.h>

#include "report/analysis/analyse.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using report::Certainty;
using report::Findings;
using report::Node;
using report::Snapshot;
using report::Status;
using report::Verdict;

constexpr std::uint64_t first_lock = 0x7f1110, second_lock = 0x7f2220;
constexpr std::uint64_t some_limit = 0x7ffc0010;

Findings findings_of(const SnapshotBuilder& builder) {
  const Snapshot snapshot = builder.build();
  return report::analyse(std::span(&snapshot, 1));
}

// Two threads that wait for each other's RLock; `held` says whether their frames bear the owner fields out.
SnapshotBuilder crossed(bool held, std::uint64_t limit = 0) {
  SnapshotBuilder bank(10);
  auto one = bank.thread(11, "one").frame("/srv/bank.py", 21, "transfer");
  one.waits_for(rlock(second_lock, 12), limit);
  auto two = bank.thread(12, "two").frame("/srv/bank.py", 31, "refund");
  two.waits_for(rlock(first_lock, 11));
  if (held) {
    one.holds(rlock(first_lock, 11), 0, 20);
    two.holds(rlock(second_lock, 12), 0, 30);
  }
  return bank;
}

TEST(Verdict, CrossedRLocksWithEvidenceAreADeadlock) {
  const Findings findings = findings_of(crossed(true));
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
  ASSERT_EQ(findings.cycles.size(), 1U);
  EXPECT_EQ(findings.cycles[0], (std::vector<Node>{{10, 11}, {10, 12}}));
  ASSERT_EQ(findings.causes.size(), 1U);
  EXPECT_EQ(findings.causes[0].kind, "lock-cycle");
  EXPECT_EQ(findings.causes[0].certainty, Certainty::certain);
  EXPECT_EQ(findings.causes[0].resources.size(), 2U);
  EXPECT_EQ(findings.processes[0].verdict, Verdict::deadlock);
  EXPECT_EQ(findings.fingerprint, findings.causes[0].fingerprint);
}

TEST(Verdict, AnOwnerFieldAloneMakesOnlyAPossibleDeadlock) {
  const Findings findings = findings_of(crossed(false));
  EXPECT_EQ(findings.verdict, Verdict::possible_deadlock);
  EXPECT_EQ(findings.causes.at(0).certainty, Certainty::recorded);
}

TEST(Verdict, ATimeLimitMakesItPossible) {
  const Findings findings = findings_of(crossed(true, some_limit));
  EXPECT_EQ(findings.verdict, Verdict::possible_deadlock);
  EXPECT_EQ(findings.causes.at(0).certainty, Certainty::certain);
  EXPECT_TRUE(findings.causes.at(0).timed);
}

TEST(Verdict, AThreadThatWasNotHeldMakesItLikelyAtMost) {
  SnapshotBuilder bank = crossed(true);
  bank.snapshot().threads[0].os.outcome = attach::StopOutcome::unstoppable;
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::possible_deadlock);
  EXPECT_EQ(findings.causes.at(0).certainty, Certainty::likely);
}

TEST(Verdict, WithoutAStopNothingIsADeadlock) {
  SnapshotBuilder bank = crossed(true);
  bank.snapshot().stopped = false;
  for (auto& thread : bank.snapshot().threads) thread.os.outcome = attach::StopOutcome::not_tried;
  EXPECT_EQ(findings_of(bank).verdict, Verdict::possible_deadlock);
}

TEST(Verdict, ThreadsBehindACycleAreNamedAndNotInIt) {
  SnapshotBuilder bank = crossed(true);
  bank.thread(13, "three").frame("/srv/bank.py", 41, "audit").waits_for(rlock(first_lock, 11));
  bank.thread(14, "four").frame("/srv/bank.py", 51, "sleep").sleeps_in(SYS_nanosleep);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.causes.at(0).behind, (std::vector<Node>{{10, 13}}));
  EXPECT_EQ(findings.causes.at(0).nodes.size(), 2U);
}

TEST(Verdict, AnOwnerThatIsGoneCanNeverRelease) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("/srv/bank.py", 21, "transfer").waits_for(rlock(first_lock, 99));
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
  EXPECT_EQ(findings.causes.at(0).kind, "owner-exited");
  EXPECT_EQ(findings.processes[0].resources.at(0).owner_state, report::OwnerState::exited);
  EXPECT_FALSE(findings.processes[0].resources.at(0).owner.has_value());
}

TEST(Verdict, AnOwnerIsNotCalledGoneWhereThreadsAreMissing) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("/srv/bank.py", 21, "transfer").waits_for(rlock(first_lock, 99));
  bank.interpreter().threads_gap = "the list could not be read to its end";
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::unknown);
  EXPECT_EQ(findings.processes[0].resources.at(0).owner_state, report::OwnerState::not_recorded);
}

TEST(Verdict, ALockHeldByItsOwnWaiterIsASelfDeadlock) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one")
      .frame("/srv/bank.py", 21, "log")
      .waits_for(lock(first_lock))
      .holds(lock(first_lock), 0, 20);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
  EXPECT_EQ(findings.causes.at(0).kind, "self-deadlock");
}

TEST(Verdict, TwoHoldersOfOneLockAreBothDoubted) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(lock(first_lock));
  bank.thread(12, "two").frame("a.py", 2, "g").holds(lock(first_lock), 0, 2).sleeps_in(SYS_nanosleep);
  bank.thread(13, "three").frame("a.py", 3, "h").holds(lock(first_lock), 0, 3).sleeps_in(SYS_nanosleep);
  const Findings findings = findings_of(bank);
  const report::Resource& resource = findings.processes[0].resources.at(0);
  EXPECT_FALSE(resource.owner.has_value());
  EXPECT_EQ(resource.candidates.size(), 2U);
  EXPECT_EQ(findings.processes[0].threads[1].holds.at(0).certainty, Certainty::likely);
  EXPECT_TRUE(findings.edges.empty());
}

TEST(Verdict, PlainLocksWithoutAKnownHolderAreUnknownAndNotWaiting) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(lock(first_lock));
  bank.thread(12, "two").frame("a.py", 2, "g").waits_for(lock(second_lock));
  bank.thread(13, "three").frame("a.py", 3, "h").sleeps_in(SYS_accept4, 5);
  EXPECT_EQ(findings_of(bank).verdict, Verdict::unknown);
}

TEST(Verdict, WaitingForTheOutsideIsWaiting) {
  SnapshotBuilder bank(10);
  bank.thread(10, "MainThread").frame("a.py", 1, "serve").sleeps_in(SYS_epoll_wait, 4, 0, 64, 0xffffffff);
  bank.thread(11, "one").frame("a.py", 2, "g").sleeps_in(SYS_read, 7);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::waiting);
  EXPECT_TRUE(findings.causes.empty());
  EXPECT_TRUE(findings.fingerprint.empty());
}

TEST(Verdict, AHolderThatRunsIsNoCause) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(first_lock, 12));
  bank.thread(12, "two").frame("a.py", 2, "g").holds(rlock(first_lock), 0, 2).holds_gil().runs();
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::running);
  EXPECT_EQ(findings.edges.size(), 1U);
}

TEST(Verdict, AHolderThatSleepsStallsTheOthers) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(first_lock, 12));
  bank.thread(12, "two").frame("a.py", 2, "g").holds(rlock(first_lock), 0, 2).sleeps_in(SYS_nanosleep);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::stalled);
  EXPECT_EQ(findings.causes.at(0).kind, "contention");
  EXPECT_EQ(findings.causes.at(0).behind, (std::vector<Node>{{10, 11}}));
}

TEST(Verdict, TheGilHeldInASystemCallStalls) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").holds_gil().sleeps_in(SYS_read, 3);
  bank.thread(12, "two").frame("a.py", 2, "g").waits_for_gil();
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::stalled);
  EXPECT_EQ(findings.causes.at(0).kind, "gil-held-in-native");
}

TEST(Verdict, WhatWasNotHeldStallsNothing) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").holds_gil().sleeps_in(SYS_read, 3).not_held();
  bank.thread(12, "two").frame("a.py", 2, "g").waits_for_gil();
  EXPECT_NE(findings_of(bank).verdict, Verdict::stalled);
}

TEST(Verdict, AGilJustHandedOverIsNoCycle) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for_gil().holds_gil();
  bank.interpreter().gil->handing_over = true;
  bank.thread(12, "two").frame("a.py", 2, "g").waits_for_gil();
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::running);
  EXPECT_TRUE(findings.cycles.empty());
  EXPECT_EQ(findings.processes[0].threads[0].status, Status::running);
}

TEST(Verdict, NoProcessIsUnknown) {
  EXPECT_EQ(report::analyse({}).verdict, Verdict::unknown);
}

TEST(Verdict, OfSeveralProcessesTheWorstCounts) {
  SnapshotBuilder quiet(20);
  quiet.thread(20, "MainThread").frame("a.py", 1, "f").sleeps_in(SYS_nanosleep);
  const std::vector<Snapshot> both{quiet.build(), crossed(true).build()};
  const Findings findings = report::analyse(both);
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
  EXPECT_EQ(findings.processes[0].verdict, Verdict::waiting);
  EXPECT_TRUE(findings.summary.starts_with("process 10: "));
}

TEST(Verdict, AFingerprintKnowsNeitherLinesNorThreadsNorPids) {
  SnapshotBuilder other(77);
  other.thread(92, "x")
      .frame("/opt/bank.py", 131, "refund")
      .waits_for(rlock(0x1110, 91))
      .holds(rlock(0x2220));
  other.thread(91, "y")
      .frame("/opt/bank.py", 121, "transfer")
      .waits_for(rlock(0x2220, 92))
      .holds(rlock(0x1110));
  EXPECT_EQ(findings_of(other).fingerprint, findings_of(crossed(true)).fingerprint);
  SnapshotBuilder different = crossed(true);
  different.interpreter().threads[0].frames[0].qualified_name = "deposit";
  EXPECT_NE(findings_of(different).fingerprint, findings_of(crossed(true)).fingerprint);
  EXPECT_EQ(findings_of(other).fingerprint.size(), 20U);
}

TEST(Verdict, ALongCycleIsFoundWholeAndOnce) {
  SnapshotBuilder bank(10);
  constexpr pid_t count = 2000;
  for (pid_t i = 0; i < count; ++i) {
    const auto wanted = static_cast<std::uint64_t>((i + 1) % count);
    bank.thread(100 + i, "t")
        .frame("a.py", 1, "f")
        .waits_for(rlock(0x1000 + wanted * 64, 100 + (i + 1) % count))
        .holds(rlock(0x1000 + static_cast<std::uint64_t>(i) * 64), 0, 1);
  }
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
  ASSERT_EQ(findings.cycles.size(), 1U);
  EXPECT_EQ(findings.cycles[0].size(), static_cast<std::size_t>(count));
  EXPECT_LT(findings.summary.size(), 2000U);
}

TEST(Verdict, ANativeThreadThatOwnsAnIdentIsNotGone) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(first_lock, 15));
  bank.native_thread(15, "worker");
  const Findings findings = findings_of(bank);
  EXPECT_EQ(findings.processes[0].resources.at(0).owner, (Node{10, 15}));
  EXPECT_EQ(findings.processes[0].resources.at(0).owner_certainty, Certainty::recorded);
}

}  // namespace
}  // namespace pythreads::tests
