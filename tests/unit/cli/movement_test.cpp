#include "cli/movement.h"

#include <gtest/gtest.h>

#include <vector>

#include "report/analysis/analyse.h"
#include "report/compose.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::cli {
namespace {

using tests::SnapshotBuilder;

SnapshotBuilder waiter(std::uint64_t switches, std::uint64_t lock = 0x1000, int line = 21) {
  SnapshotBuilder bank(10);
  auto one = bank.thread(11, "one").frame("/srv/bank.py", line, "transfer");
  one.waits_for(tests::lock(lock)).os().os.switches = switches;
  auto two = bank.thread(12, "two").frame("/srv/bank.py", 31, "refund");
  two.holds(tests::lock(lock), 0, 30).runs();
  two.os().os.switches = 7;
  return bank;
}

// Of thread 11, after each look.
std::vector<report::document::Number> counted(const std::vector<SnapshotBuilder>& looks) {
  std::vector<report::document::Number> counts;
  Standing standing;
  for (const SnapshotBuilder& builder : looks) {
    const report::Snapshot snapshot = builder.build();
    const report::Findings findings = report::analyse(std::span(&snapshot, 1));
    standing.count(snapshot, findings.processes.front());
    report::Document document = report::compose(std::span(&snapshot, 1), findings, {});
    standing.tell(document.processes.front());
    for (const report::document::Thread& thread : document.processes.front().threads) {
      if (thread.tid == 11) counts.push_back(thread.unmoved_looks.value_or(-1));
      if (thread.tid == 12) {
        EXPECT_EQ(thread.unmoved_looks, 1) << "one that runs is not standing";
      }
    }
  }
  return counts;
}

using Counts = std::vector<report::document::Number>;

TEST(Standing, CountsLooksThatFoundItWhereItWas) {
  EXPECT_EQ(counted({waiter(5), waiter(7), waiter(9)}), (Counts{1, 2, 3}));
}

TEST(Standing, BeginsAnewAfterIt) {
  EXPECT_EQ(counted({waiter(5), waiter(5), waiter(50), waiter(50)}), (Counts{1, 2, 1, 2})) << "ran";
  EXPECT_EQ(counted({waiter(5), waiter(5, 0x2000)}), (Counts{1, 1})) << "waits for another lock";
  EXPECT_EQ(counted({waiter(5), waiter(5, 0x1000, 22)}), (Counts{1, 1})) << "is at another line";
  EXPECT_EQ(counted({waiter(50), waiter(5)}), (Counts{1, 1})) << "is another thread with its number";
}

TEST(Standing, WithoutCountsNothingStands) {
  SnapshotBuilder unknown(10);
  auto one = unknown.thread(11, "one").frame("/srv/bank.py", 21, "transfer");
  one.waits_for(tests::lock(0x1000)).os().os.switches.reset();
  EXPECT_EQ(counted({unknown, unknown}), (Counts{1, 1}));
}

}  // namespace
}  // namespace pythreads::cli
