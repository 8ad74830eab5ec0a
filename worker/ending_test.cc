#include "worker/ending.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

NamedEnding named(int code, int status, StopReason reason = StopReason::kNone, bool oom = false) {
  return name_ending({.code = code, .status = status, .out_of_memory = oom}, reason, 30s);
}

TEST(Ending, NamesTheSignalOfACrash) {
  const auto ending = named(CLD_DUMPED, SIGSEGV);
  EXPECT_EQ(ending.outcome, Outcome::kCrashed);
  EXPECT_EQ(ending.failure.type, "SIGSEGV");
  EXPECT_TRUE(ending.failure.retryable);
  EXPECT_EQ(named(CLD_KILLED, SIGABRT).failure.type, "SIGABRT");
  EXPECT_EQ(named(CLD_KILLED, SIGRTMIN + 3).failure.type, "signal " + std::to_string(SIGRTMIN + 3));
}

TEST(Ending, CallsEveryExitACrashBecauseNothingWasAnswered) {
  EXPECT_EQ(named(CLD_EXITED, 3).outcome, Outcome::kCrashed);
  EXPECT_EQ(named(CLD_EXITED, 3).failure.message, "exited with status 3 without answering");
  EXPECT_EQ(named(CLD_EXITED, 0).outcome, Outcome::kCrashed);
}

TEST(Ending, TellsATimeoutFromAKillFromOutside) {
  const auto ending = named(CLD_KILLED, SIGKILL, StopReason::kTimeout);
  EXPECT_EQ(ending.outcome, Outcome::kTimeout);
  EXPECT_EQ(ending.failure.type, "Timeout");
  EXPECT_EQ(ending.failure.message, "took longer than 30s");
  EXPECT_EQ(named(CLD_KILLED, SIGKILL).outcome, Outcome::kCrashed);
}

TEST(Ending, CallsAnExitOnSigtermATimeoutToo) {
  EXPECT_EQ(named(CLD_EXITED, 0, StopReason::kTimeout).outcome, Outcome::kTimeout);
}

TEST(Ending, BlamesMemoryBeforeTime) {
  EXPECT_EQ(named(CLD_KILLED, SIGKILL, StopReason::kNone, true).outcome, Outcome::kOutOfMemory);
  EXPECT_EQ(named(CLD_KILLED, SIGKILL, StopReason::kTimeout, true).outcome, Outcome::kOutOfMemory);
}

TEST(Ending, NeverCountsADrainAgainstTheFunction) {
  const auto ending = named(CLD_KILLED, SIGKILL, StopReason::kDrain);
  EXPECT_EQ(ending.outcome, Outcome::kDrained);
  EXPECT_FALSE(protocol::counts_against_budget(ending.outcome));
}

TEST(Ending, TellsAFailedSetUpFromACrash) {
  EXPECT_EQ(named(CLD_EXITED, kSetupFailedStatus).outcome, Outcome::kInitFailed);
}

}  // namespace
}  // namespace fanfare::worker
