// What starts and stops workers: systemd on this host, or any command, for clouds.
//
// A driver belongs to its loop's thread. Each call is answered exactly once, on the loop, never
// from within the call; destroying the driver drops what is pending without calling anybody. One
// call at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

namespace fanfare::autoscaler {

struct WorkerSet {
  std::uint32_t running = 0;  // there, or on their way
  std::uint32_t leaving = 0;  // told to stop, and still draining: not to be counted on
  std::uint32_t failed = 0;   // started not long ago, and did not stay: tried again later
};

class Driver {
 public:
  virtual ~Driver() = default;

  using OnCount = std::function<void(Result<WorkerSet>)>;
  virtual void count(OnCount on_count) = 0;

  // Makes it `workers`. Those that go drain first: they take nothing new, end what runs, and are
  // not waited for here. The answer says what was begun, for the log.
  using OnScaled = std::function<void(Result<std::string>)>;
  virtual void scale_to(std::uint32_t workers, OnScaled on_scaled) = 0;
};

}  // namespace fanfare::autoscaler
