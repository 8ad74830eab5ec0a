// What starts and stops workers: systemd on this host, or any command, for clouds.
//
// A driver belongs to its loop's thread. Each call is answered exactly once, on the loop, never
// from within the call; destroying the driver drops what is pending without calling anybody. One
// call at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autoscaler/broker_view.h"
#include "base/result.h"
#include "base/time.h"

namespace fanfare::autoscaler {

// One worker on its way out.
struct Drain {
  std::uint32_t number = 0;  // of its unit
  std::string worker;        // as the broker knows it
  std::uint32_t pid = 0;
  TimePoint since;       // it was told to finish
  bool stopped = false;  // its unit was told to stop
  bool lost = false;     // the broker does not take it back
  bool operator==(const Drain&) const = default;
};

struct WorkerSet {
  std::uint32_t running = 0;   // there, or on their way
  std::uint32_t leaving = 0;   // told to finish or to stop: not to be counted on
  std::uint32_t failed = 0;    // started not long ago, and did not stay: tried again later
  std::uint32_t refused = 0;   // could not be started: others are tried in their place
  std::vector<Drain> drains;   // those that scale_to has yet to look after
  double slots_elsewhere = 0;  // of connected workers that this driver has no hand in
};

class Driver {
 public:
  virtual ~Driver() = default;

  // `connected`: the broker's workers.
  using OnCount = std::function<void(Result<WorkerSet>)>;
  virtual void count(const std::vector<ConnectedWorker>& connected, OnCount on_count) = 0;

  // Makes it `workers`, by what was counted last. Those that go drain first: they take nothing new,
  // end what runs, and are not waited for here; as long as there are `drains` it is to be called
  // with each tick. The answer says what was begun, for the log; empty: nothing. An error does not
  // mean that nothing was.
  using OnScaled = std::function<void(Result<std::string>)>;
  virtual void scale_to(std::uint32_t workers, OnScaled on_scaled) = 0;

  // Goes on with what an autoscaler before this one has begun. Before the first count.
  virtual void adopt(std::vector<Drain>) {}
  // Takes back whoever drains, as nobody will look after them. The answer: those with whom that
  // was not possible.
  using OnReleased = std::function<void(std::vector<Drain>)>;
  virtual void release(OnReleased on_released) = 0;
};

}  // namespace fanfare::autoscaler
