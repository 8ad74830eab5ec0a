// Processes that pass messages on as an installation does, with next to no work of their own: what
// the guard on speed (ops/bench) measures beside Fanfare, so that a slow or busy machine slows
// both.
//
//   caller ── broker ── worker ── instance     each a process, linked by stream sockets
//                │         │
//              Redis     Redis                 a batch is kept before it goes down, results before
//              they go up
//
// It shares no code with Fanfare and is not made faster with it: who changes the work in here
// measures all committed figures again (ops/bench --update).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fanfare::calibration {

// One message, of about the size of an event of the benchmarks.
struct Frame {
  std::uint64_t number = 0;
  std::int64_t sent_ns = 0;     // CLOCK_MONOTONIC
  std::int64_t entered_ns = 0;  // when the instance got to it
  char data[232] = {};
};
static_assert(sizeof(Frame) == 256);

std::int64_t now_ns();

struct ChainOptions {
  std::string redis;     // path of its socket; empty = none, and neither journal nor results
  bool journal = false;  // the broker keeps each batch until Redis says it has it
  // Of the instance: a process of its own for each message, forked when that comes. There are
  // neither broker nor worker then.
  bool fork_each = false;
};

// Ends the program with a message where something fails: there is nothing to measure then.
class Chain {
 public:
  explicit Chain(const ChainOptions& options);
  ~Chain();  // closes the caller's end, which ends all of them, and waits for them
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Where the caller writes whole frames to and reads them from; blocking.
  int socket() const { return socket_; }

 private:
  // Forks a process that runs `run` with its end of a new link; returns the other end.
  template <typename Run>
  int start(Run run);

  int socket_ = -1;
  std::vector<pid_t> processes_;
};

}  // namespace fanfare::calibration
