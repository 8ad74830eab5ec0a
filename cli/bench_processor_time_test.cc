#include "cli/bench_processor_time.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
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
  const double before = processor_time(getpid()).all_s();
  const Computing one(0.3);
  const double running = processor_time(getpid()).all_s() - before;
  one.end();
  const double ended = processor_time(getpid()).all_s() - before;
  EXPECT_GE(running, 0.25);
  EXPECT_GE(ended, 0.25);
  EXPECT_LT(ended, 0.55) << "counted twice";
}

TEST(BenchProcessorTime, LeavesOutProcessesThatAreNotBelow) {
  const Computing one(0.1);
  const Computing other(0.3);
  EXPECT_LT(processor_time(one.child).all_s(), 0.2);
  EXPECT_GE(processor_time(other.child).all_s(), 0.25);
  one.end();
  other.end();
}

TEST(BenchProcessorTime, IsNothingForAProcessThatIsNotThere) {
  EXPECT_EQ(processor_time(0x7ffffff0).all_s(), 0);
}

// Named like one of them, as the kernel keeps a program's name.
struct Named {
  explicit Named(const char* name) {
    child = fork();
    if (child == 0) {
      prctl(PR_SET_NAME, name);
      compute(0.2);
      for (;;) pause();
    }
  }
  ~Named() {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  pid_t child = 0;
};

TEST(BenchProcessorTime, TellsWhoseItIs) {
  const ProcessorTime before = processor_time(getpid());
  const Named broker("fanfare-broker"), worker("fanfare-worker"), redis("redis-server"),
      instance("fanfare-instance"), other("sleep");
  ProcessorTime used;
  do {
    used = processor_time(getpid()).since(before);
  } while (used.broker_s < 0.19 || used.worker_s < 0.19 || used.redis_s < 0.19 ||
           used.instances_s < 0.19);
  EXPECT_LT(used.broker_s, 0.3);
  EXPECT_LT(used.worker_s, 0.3);
  EXPECT_LT(used.redis_s, 0.3);
  EXPECT_LT(used.instances_s, 0.3);
}

}  // namespace
}  // namespace fanfare::cli
