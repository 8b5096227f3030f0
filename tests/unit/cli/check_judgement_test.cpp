#include "cli/check_judgement.h"

#include <gtest/gtest.h>

#include <array>

#include "report/analysis/analyse.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::cli {
namespace {

using tests::SnapshotBuilder;

struct Look {
  explicit Look(const SnapshotBuilder& builder)
      : snapshot(builder.build()), findings(report::analyse(std::span(&snapshot, 1))) {}
  CheckLook look() const { return {&snapshot, &findings}; }
  report::Snapshot snapshot;
  report::Findings findings;
};

SnapshotBuilder crossed(std::uint64_t first = 0x1000) {
  SnapshotBuilder bank(10);
  auto one = bank.thread(11, "one").frame("/srv/bank.py", 21, "transfer");
  one.waits_for(tests::rlock(0x2000, 12));
  auto two = bank.thread(12, "two").frame("/srv/bank.py", 31, "refund");
  two.waits_for(tests::rlock(first, 11));
  one.holds(tests::rlock(first, 11), 0, 20);
  two.holds(tests::rlock(0x2000, 12), 0, 30);
  return bank;
}

// One waits for a lock that the other holds while it reads: `switches` tells how busy the waiter was.
SnapshotBuilder queue(std::uint64_t switches, bool runs = true) {
  SnapshotBuilder bank(10);
  auto one = bank.thread(11, "one").frame("/srv/bank.py", 21, "transfer");
  one.waits_for(tests::lock(0x2000)).os().os.switches = switches;
  auto two = bank.thread(12, "two").frame("/srv/bank.py", 31, "refund");
  two.holds(tests::lock(0x2000), 0, 30);
  if (runs) two.runs();
  return bank;
}

CheckLine judged(const SnapshotBuilder& first, const SnapshotBuilder& second) {
  const Look one(first), two(second);
  const std::array looks{one.look(), two.look()};
  return judge_check(looks);
}

TEST(CheckJudgement, ADeadlockThatStandsIsCritical) {
  EXPECT_TRUE(needs_another_look(Look(crossed()).look()));
  const CheckLine line = judged(crossed(), crossed());
  EXPECT_EQ(line.level, CheckLevel::critical);
  EXPECT_TRUE(line.text.starts_with("CRITICAL - process 10: deadlock: ")) << line.text;
  EXPECT_NE(line.text.find("[fp1:"), std::string::npos);
}

TEST(CheckJudgement, WhatWasGoneAtTheSecondLookIsNotTold) {
  SnapshotBuilder idle(10);
  idle.thread(11, "one").frame("a.py", 1, "f").runs();
  EXPECT_EQ(judged(crossed(), idle).level, CheckLevel::ok);
  EXPECT_EQ(judged(idle, crossed()).level, CheckLevel::ok);
}

TEST(CheckJudgement, ABlockedThreadThatDidNotMoveIsAWarning) {
  EXPECT_TRUE(needs_another_look(Look(queue(5)).look()));
  EXPECT_EQ(judged(queue(5), queue(6)).level, CheckLevel::warning);
}

TEST(CheckJudgement, ABlockedThreadThatWorkedInBetweenIsHealth) {
  EXPECT_EQ(judged(queue(5), queue(500)).level, CheckLevel::ok);
}

TEST(CheckJudgement, ABlockedThreadWhoseSwitchesAreNotKnownIsNotSaidToStand) {
  SnapshotBuilder first = queue(5), second = queue(5);
  first.snapshot().threads[0].os.switches.reset();
  EXPECT_EQ(judged(first, second).level, CheckLevel::ok);
  EXPECT_EQ(judged(second, first).level, CheckLevel::ok);
}

TEST(CheckJudgement, ABlockedThreadThatUsedTheProcessorMoved) {
  SnapshotBuilder second = queue(6);
  second.snapshot().threads[0].os.cpu_ms = 500;
  EXPECT_EQ(judged(queue(5), second).level, CheckLevel::ok);
}

// `holder` sleeps with a lock that the other waits for; both have switched so often.
SnapshotBuilder convoy(pid_t holder, std::uint64_t switches) {
  SnapshotBuilder bank(10);
  const pid_t waiter = holder == 11 ? 12 : 11;
  auto one = bank.thread(holder, "holder").frame("/srv/bank.py", 21, "transfer");
  one.sleeps_in(SYS_read, 7).holds(tests::lock(0x2000), 0, 20);
  one.os().os.switches = switches;
  auto two = bank.thread(waiter, "waiter").frame("/srv/bank.py", 20, "transfer");
  two.waits_for(tests::lock(0x2000)).os().os.switches = switches;
  return bank;
}

TEST(CheckJudgement, AStallStandsOnlyWhereItsHolderDidNotMove) {
  const Look look(convoy(11, 5));
  ASSERT_EQ(look.findings.verdict, report::Verdict::stalled);
  EXPECT_EQ(judged(convoy(11, 5), convoy(11, 7)).level, CheckLevel::warning);
  EXPECT_EQ(judged(convoy(11, 5), convoy(12, 300)).level, CheckLevel::ok) << "another holds it";
  EXPECT_EQ(judged(convoy(11, 5), convoy(11, 300)).level, CheckLevel::ok) << "the same has it again";
}

TEST(CheckJudgement, AStallStandsWithWaitersThatCame) {
  SnapshotBuilder more = convoy(11, 7);
  more.thread(13, "late").frame("/srv/bank.py", 20, "transfer").waits_for(tests::lock(0x2000));
  EXPECT_EQ(judged(convoy(11, 5), more).level, CheckLevel::warning);
}

TEST(CheckJudgement, ADeadlockOfOtherThreadsIsNotTheSame) {
  EXPECT_NE(judged(crossed(0x1000), crossed(0x1800)).level, CheckLevel::critical) << "another lock";
}

TEST(CheckJudgement, WaitersOnTheOutsideNeedNoSecondLook) {
  SnapshotBuilder idle(10);
  idle.thread(11, "one").frame("a.py", 1, "f").sleeps_in(SYS_read, 7);
  EXPECT_FALSE(needs_another_look(Look(idle).look()));
  EXPECT_EQ(judged(idle, idle).level, CheckLevel::ok);
}

TEST(CheckJudgement, TheWorstCountsAndFailOnLetsLesserPass) {
  const std::array lines{CheckLine{CheckLevel::unknown, ""}, CheckLine{CheckLevel::warning, ""},
                         CheckLine{CheckLevel::ok, ""}};
  EXPECT_EQ(worst_of(lines, FailOn::unknown), CheckLevel::warning);
  EXPECT_EQ(worst_of(lines, FailOn::warning), CheckLevel::warning);
  EXPECT_EQ(worst_of(lines, FailOn::critical), CheckLevel::ok);
  EXPECT_EQ(worst_of(std::span(lines).first(1), FailOn::warning), CheckLevel::ok);
  EXPECT_EQ(worst_of(std::span(lines).first(1), FailOn::unknown), CheckLevel::unknown);
  EXPECT_TRUE(failed_check(7, "no process has the pid 7").text.starts_with("UNKNOWN - process 7: "));
}

}  // namespace
}  // namespace pythreads::cli
