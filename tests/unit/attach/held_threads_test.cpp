#include "attach/held_threads.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

namespace pythreads::attach {
namespace {

ThreadState sleeping(pid_t tid) {
  ThreadState thread;
  thread.tid = thread.namespace_tid = tid;
  thread.state = 'S';
  thread.kernel_wait.emplace().number = SYS_futex;
  thread.sleeping_sp = Address(0x7000);
  return thread;
}

StoppedThread stopped(pid_t tid, StopOutcome outcome) {
  StoppedThread thread;
  thread.tid = tid;
  thread.outcome = outcome;
  if (outcome == StopOutcome::held) thread.registers.emplace();
  return thread;
}

TEST(HeldThreads, OneThatEndedMeanwhileWaitsForNothing) {
  Target target;
  target.process.pid = 10;
  target.threads = {sleeping(10), sleeping(11), sleeping(12)};
  std::vector<StoppedThread> found = {stopped(10, StopOutcome::held), stopped(11, StopOutcome::exited),
                                      stopped(12, StopOutcome::unstoppable), stopped(9, StopOutcome::held)};
  take_stopped(found, target);
  ASSERT_EQ(target.threads.size(), 4u);
  EXPECT_EQ(target.threads[0].tid, 10) << "the leader first";
  EXPECT_TRUE(target.threads[0].kernel_wait);
  EXPECT_EQ(target.threads[1].tid, 9);
  EXPECT_EQ(target.threads[2].tid, 11);
  EXPECT_FALSE(target.threads[2].kernel_wait);
  EXPECT_EQ(target.threads[2].state, 'X');
  EXPECT_FALSE(target.threads[2].stack_pointer());
  EXPECT_TRUE(target.threads[3].kernel_wait) << "it could not be stopped, but goes on waiting";
}

}  // namespace
}  // namespace pythreads::attach
