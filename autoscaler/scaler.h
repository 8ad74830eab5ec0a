// How many workers there should be: the algorithm and the defaults of Knative's pod autoscaler
// (knative/serving pkg/autoscaler/scaling/autoscaler.go and config/core/configmaps/autoscaler.yaml,
// 1.x), with deliveries that wait or run for requests under way and workers for pods.
//
// Two averages of the demand lead to two wishes. The stable one, over a minute, is followed in
// quiet times. Once the one over the last seconds wants twice the workers that there are, it is
// panic: the larger of both is followed, and nothing is taken away, until a minute after the last
// time that it wanted so many.
//
// Pure decisions: no I/O, no clock, no thread of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "autoscaler/demand_window.h"
#include "base/result.h"
#include "base/time.h"

namespace fanfare::autoscaler {

struct ScalerOptions {
  std::uint32_t min = 1;   // workers; 0: none while there is nothing to do
  std::uint32_t max = 10;  // at least min, at least 1
  Duration stable_window = std::chrono::seconds{60};  // 6 s to 1 h
  double panic_window = 0.10;                         // of the stable window; 0.01 to 1
  double panic_threshold = 2.0;                       // times the workers that there are; 1.1 to 10
  double utilisation = 0.70;  // of a worker's slots, which leaves room for what comes; 0.01 to 1
  double scale_up_rate_max = 1000;   // times the workers that there are, in one decision; over 1
  double scale_down_rate_max = 2.0;  // workers are divided by it at most, in one decision; over 1
  Duration scale_down_delay{};       // a wish for fewer has to hold for so long; up to 1 h
  Duration cooldown{};               // after any change none are taken away for so long; up to 1 h
};

// kReject: which bound does not hold.
Result<void> check(const ScalerOptions& options);

// Over which the demand is averaged to notice a burst.
Duration panic_window_of(const ScalerOptions& options);

// What is known at a tick.
struct Observation {
  double demand = 0;        // deliveries that wait or run, of functions that may run
  std::uint32_t ready = 0;  // workers that take work; those that are leaving do not count
  double slots = 0;         // of one worker, as they have told; over 0
  // Slots of workers that are none of these, as those of other hosts: as much of the demand as they
  // should be busy with is theirs.
  double elsewhere = 0;
};

// What keeps a decision from being what the averages ask for.
enum class Limit : std::uint8_t {
  kNone,
  kHeld,  // fewer are wanted, and none is taken away for now
  kMost,  // ScalerOptions::max
  kLeast,
  kRate,  // scale_up_rate_max, scale_down_rate_max
};

struct Decision {
  std::uint32_t desired = 0;     // within min and max
  double stable = 0, panic = 0;  // the averages of what is left for these workers, deliveries
  bool panicking = false;
  Limit limit = Limit::kNone;
  std::string reason;  // one sentence for the log and `fanfare autoscale status`
};

class Scaler {
 public:
  // The options are checked ones.
  explicit Scaler(const ScalerOptions& options);

  // Takes in what is observed and decides. `now` never goes back. What was decided is not assumed
  // to be done: the next observation tells.
  Decision decide(TimePoint now, const Observation& seen);

  const ScalerOptions& options() const { return options_; }

 private:
  // The longest of the wishes of the last scale_down_delay.
  std::uint32_t delayed(TimePoint now, std::uint32_t wish);
  void look_for_panic(TimePoint now, double wanted, double ready);
  // Not after a start, nor when neither a stable window nor three times as long as between the two
  // ticks before has had a tick: a driver that always takes longer than the window leaves no gap.
  bool knows_what_came_before(TimePoint now);

  ScalerOptions options_;
  DemandWindow demand_;
  std::optional<TimePoint> panic_since_;  // when it was last too much; none: no panic
  double most_in_panic_ = 0;
  std::optional<TimePoint> last_tick_;
  Duration last_between_{};  // the last tick and the one before
  std::optional<std::uint32_t> last_ready_;
  std::optional<TimePoint> changed_;  // when the number of workers was last another one
  struct Wish {
    TimePoint at;
    std::uint32_t workers;
  };
  std::deque<Wish> wishes_;  // descending in workers, ascending in time
};

}  // namespace fanfare::autoscaler
