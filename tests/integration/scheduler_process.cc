// A scheduler as a process of its own, which can be killed: from outside, or by itself at a place
// on its way.
//
//   scheduler_process REDIS_SOCKET [PLACE N]     ends with SIGKILL when it passes PLACE the N-th
//   time
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/daemon.h"
#include "triggers/scheduler.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  fanfare::ignore_sigpipe();
  const std::string place = argc > 3 ? argv[2] : "";
  int left = argc > 3 ? std::atoi(argv[3]) : 0;

  fanfare::Loop loop;
  fanfare::triggers::SchedulerOptions options;
  options.redis.unix_path = argv[1];
  options.look_pause = std::chrono::milliseconds{100};
  options.failpoint = fanfare::Failpoint([&](std::string_view passed) {
    if (passed == place && --left == 0) std::raise(SIGKILL);
  });
  fanfare::triggers::Scheduler scheduler(loop, std::move(options));
  fanfare::SignalWatch signals(loop, {SIGTERM}, [&](int) { loop.stop(); });
  loop.run();
  const auto& c = scheduler.counters();
  std::fprintf(stderr, "fired %llu, beaten %llu\n", static_cast<unsigned long long>(c.fired),
               static_cast<unsigned long long>(c.beaten));
  return 0;
}
