#include "cli/bench_processor_time.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace fanfare::cli {
namespace {

// Uses the processor for that long, however busy the machine is.
void compute(double seconds) {
  timespec used{};
  do {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9 < seconds);
}

// A child that computes, says so by closing its end of the pipe, and waits until it is killed.
struct Computing {
  explicit Computing(double seconds) {
    EXPECT_EQ(pipe(ends.data()), 0);
    child = fork();
    if (child == 0) {
      compute(seconds);
      close(ends[0]);
      close(ends[1]);
      for (;;) pause();
    }
    close(ends[1]);
    char none = 0;
    EXPECT_EQ(read(ends[0], &none, 1), 0);
  }
  ~Computing() { close(ends[0]); }
  void end() const {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }

  std::array<int, 2> ends{};
  pid_t child = 0;
};

TEST(BenchProcessorTime, CountsProcessesBelowWhileTheyRunAndOnceTheyWereWaitedFor) {
  const double before = processor_s(getpid());
  const Computing one(0.3);
  const double running = processor_s(getpid()) - before;
  one.end();
  const double ended = processor_s(getpid()) - before;
  EXPECT_GE(running, 0.25);
  EXPECT_GE(ended, 0.25);
  EXPECT_LT(ended, 0.55) << "counted twice";
}

TEST(BenchProcessorTime, LeavesOutProcessesThatAreNotBelow) {
  const Computing one(0.1);
  const Computing other(0.3);
  EXPECT_LT(processor_s(one.child), 0.2);
  EXPECT_GE(processor_s(other.child), 0.25);
  one.end();
  other.end();
}

TEST(BenchProcessorTime, IsNothingForAProcessThatIsNotThere) {
  EXPECT_EQ(processor_s(0x7ffffff0), 0);
}

}  // namespace
}  // namespace fanfare::cli
