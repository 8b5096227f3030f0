#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include <cstdint>
#include <cstring>

#include "report/analysis/analyse.h"
#include "tests/support/snapshot_builder.h"

namespace pythreads::tests {
namespace {

using pyframes::PyHoldTrust;
using report::Certainty;
using report::Findings;
using report::Node;
using report::OwnerState;
using report::Resource;
using report::Snapshot;
using report::Verdict;

constexpr std::uint64_t some_lock = 0x7f1110, mutex = 0x7e0000;

Findings findings_of(const SnapshotBuilder& builder) {
  const Snapshot snapshot = builder.build();
  return report::analyse(std::span(&snapshot, 1));
}

// By the address; a resource without kind where there is none.
Resource resource_at(const Findings& findings, std::uint64_t address) {
  for (const Resource& each : findings.processes.at(0).resources) {
    if (each.address.value == address) return each;
  }
  return {};
}

TEST(Owners, ANativeMutexIsOwnedByTheThreadOfItsTid) {
  SnapshotBuilder bank(10);
  bank.native_thread(11, "one").waits_for_mutex(mutex, 12);
  bank.native_thread(12, "two").runs();
  const Resource resource = resource_at(findings_of(bank), mutex);
  EXPECT_EQ(resource.kind, "pthread-mutex");
  EXPECT_EQ(resource.owner, (Node{10, 12}));
  EXPECT_EQ(resource.owner_certainty, Certainty::certain);
}

TEST(Owners, ANativeMutexSpeaksOfTidsInItsOwnPidNamespace) {
  SnapshotBuilder bank(10);
  bank.native_thread(4011, "one").waits_for_mutex(mutex, 12);
  bank.native_thread(4012, "two").runs();
  bank.snapshot().threads[0].os.namespace_tid = 11;
  bank.snapshot().threads[1].os.namespace_tid = 12;
  EXPECT_EQ(resource_at(findings_of(bank), mutex).owner, (Node{10, 4012}));
}

TEST(Owners, AMutexThatHoldsATidInItsLockIsOwnedByIt) {
  for (const std::uint32_t kind : {0x10U, 0x21U, 0x2b0U}) {
    SnapshotBuilder bank(10);
    bank.native_thread(11, "one").waits_for_mutex(mutex, 0);
    bank.native_thread(12, "two").runs();
    const std::uint32_t words[] = {FUTEX_WAITERS | 12U, 1, 0, 1, kind};
    std::memcpy(bank.snapshot().threads[0].os.futex->around.data(), words, sizeof words);
    EXPECT_EQ(resource_at(findings_of(bank), mutex).owner, (Node{10, 12})) << kind;
  }
}

TEST(Owners, AMutexOfAKindThatIsNoneIsNoMutex) {
  SnapshotBuilder bank(10);
  bank.native_thread(11, "one").waits_for_mutex(mutex, 12);
  bank.native_thread(12, "two").runs();
  const std::uint32_t words[] = {2, 0, 12, 1, 0x400};
  std::memcpy(bank.snapshot().threads[0].os.futex->around.data(), words, sizeof words);
  EXPECT_EQ(resource_at(findings_of(bank), mutex).kind, "");
}

TEST(Owners, ATidThatNoThreadHasIsGone) {
  SnapshotBuilder bank(10);
  bank.native_thread(11, "one").waits_for_mutex(mutex, 99);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(resource_at(findings, mutex).owner_state, OwnerState::exited);
  EXPECT_EQ(findings.verdict, Verdict::deadlock);
}

// A thread of any process may hold it, and live.
TEST(Owners, ATidInAMutexBetweenProcessesIsNotCalledGone) {
  SnapshotBuilder bank(10);
  bank.native_thread(11, "one").waits_for_mutex(mutex, 99);
  bank.snapshot().threads[0].os.futex->shared = true;
  const Findings findings = findings_of(bank);
  EXPECT_EQ(resource_at(findings, mutex).owner_state, OwnerState::not_recorded);
  EXPECT_FALSE(resource_at(findings, mutex).owner.has_value());
  EXPECT_NE(findings.verdict, Verdict::deadlock);
  EXPECT_NE(findings.verdict, Verdict::possible_deadlock);
}

TEST(Owners, ALockThatIsFreeInMemoryHasNoOwner) {
  SnapshotBuilder bank(10);
  pyframes::PySyncObject free = lock(some_lock);
  free.locked = false;
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(free);
  bank.thread(12, "two").frame("a.py", 2, "g").runs().holds(free, 0, 2);
  const Findings findings = findings_of(bank);
  EXPECT_EQ(resource_at(findings, some_lock).owner_state, OwnerState::none);
  EXPECT_FALSE(resource_at(findings, some_lock).owner.has_value());
  EXPECT_TRUE(findings.edges.empty());
}

TEST(Owners, AnAcquireOfTheWaiterItselfIsASignal) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one")
      .frame("a.py", 1, "f")
      .waits_for(lock(some_lock))
      .holds(lock(some_lock), 0, 1, PyHoldTrust::likely);
  const Findings findings = findings_of(bank);
  EXPECT_FALSE(resource_at(findings, some_lock).owner.has_value());
  EXPECT_TRUE(findings.edges.empty());
}

TEST(Owners, AnOpenBlockIsBelievedBeforeAnAcquire) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(lock(some_lock));
  bank.thread(12, "two").frame("a.py", 2, "g").runs().holds(lock(some_lock), 0, 2, PyHoldTrust::likely);
  bank.thread(13, "three").frame("a.py", 3, "h").runs().holds(lock(some_lock), 0, 3);
  const Resource resource = resource_at(findings_of(bank), some_lock);
  EXPECT_EQ(resource.owner, (Node{10, 13}));
  EXPECT_EQ(resource.owner_certainty, Certainty::certain);
}

TEST(Owners, OneThatWasNotStoppedMayHaveGivenItBack) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(lock(some_lock));
  bank.thread(12, "two").frame("a.py", 3, "h").sleeps_in(SYS_read).holds(lock(some_lock), 0, 3).not_held();
  const Resource resource = resource_at(findings_of(bank), some_lock);
  EXPECT_EQ(resource.owner, (Node{10, 12}));
  EXPECT_EQ(resource.owner_certainty, Certainty::inferred);
}

TEST(Owners, ALikelyHoldBearsAnOwnerFieldOutByInference) {
  SnapshotBuilder bank(10);
  bank.thread(11, "one").frame("a.py", 1, "f").waits_for(rlock(some_lock, 12));
  bank.thread(12, "two").frame("a.py", 2, "g").runs().holds(rlock(some_lock, 12), 0, 2, PyHoldTrust::likely);
  const Resource resource = resource_at(findings_of(bank), some_lock);
  EXPECT_EQ(resource.owner, (Node{10, 12}));
  EXPECT_EQ(resource.owner_certainty, Certainty::inferred);
}

// A semaphore of the system: whoever has it, in any process, may release it.
TEST(Owners, ASemLockWhoseTakerEndedIsNotCalledOrphaned) {
  for (const bool forked : {false, true}) {
    SnapshotBuilder bank(10);
    pyframes::PySyncObject semaphore = rlock(some_lock, 99);
    semaphore.kind = pyframes::PySyncKind::sem_lock;
    if (forked) bank.snapshot().process.forked_from = 9;
    bank.thread(11, "one").frame("a.py", 1, "f").waits_for(semaphore);
    const Findings findings = findings_of(bank);
    EXPECT_FALSE(resource_at(findings, some_lock).owner.has_value());
    EXPECT_EQ(resource_at(findings, some_lock).owner_state, OwnerState::not_recorded);
    EXPECT_NE(findings.verdict, Verdict::deadlock);
    EXPECT_TRUE(findings.causes.empty());
  }
}

}  // namespace
}  // namespace pythreads::tests
