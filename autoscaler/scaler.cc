#include "autoscaler/scaler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;

constexpr int kTicksMissed = 3;  // after so many of them nothing is known of what came between

// What is held at the most, and more than that is wanted, waits for a larger max and not for the
// end of a panic.
Limit limit_of(double wanted, std::uint32_t desired, const ScalerOptions& options, bool held) {
  if (desired == options.max && wanted > options.max) return Limit::kMost;
  if (held) return Limit::kHeld;
  if (desired == options.min && wanted < options.min) return Limit::kLeast;
  return desired != wanted ? Limit::kRate : Limit::kNone;
}

std::string in_words(Limit limit, const ScalerOptions& options) {
  switch (limit) {
    case Limit::kHeld:
      return ", held for now";
    case Limit::kMost:
      return fmt::format(", {} are the most", options.max);
    case Limit::kLeast:
      return fmt::format(", {} are the least", options.min);
    case Limit::kRate:
      return ", not faster";
    case Limit::kNone:
      break;
  }
  return "";
}

}  // namespace

Duration panic_window_of(const ScalerOptions& options) {
  return Duration{static_cast<Duration::rep>(static_cast<double>(options.stable_window.count()) *
                                             options.panic_window)};
}

Result<void> check(const ScalerOptions& o) {
  const auto within = [](double value, double least, double most) {
    return std::isfinite(value) && value >= least && value <= most;
  };
  if (o.max < 1) return reject("max is 0: no worker would ever run");
  if (o.min > o.max)
    return reject(fmt::format("min is {} and max {}: min is the smaller one", o.min, o.max));
  if (o.stable_window < 6s || o.stable_window > 1h) return reject("stable_window is from 6s to 1h");
  if (!within(o.panic_window, 0.01, 1))
    return reject("panic_window is from 0.01 to 1 of the stable window");
  if (!within(o.panic_threshold, 1.1, 10)) return reject("panic_threshold is from 1.1 to 10");
  if (!within(o.utilisation, 0.01, 1)) return reject("utilisation is from 0.01 to 1");
  if (!within(o.scale_up_rate_max, 1.01, 1e6))
    return reject("scale_up_rate_max is from 1.01 to 1000000");
  if (!within(o.scale_down_rate_max, 1.01, 1e6))
    return reject("scale_down_rate_max is from 1.01 to 1000000");
  if (o.scale_down_delay < 0s || o.scale_down_delay > 1h)
    return reject("scale_down_delay is up to 1h");
  if (o.cooldown < 0s || o.cooldown > 1h) return reject("cooldown is up to 1h");
  return {};
}

Scaler::Scaler(const ScalerOptions& options) : options_(options), demand_(options.stable_window) {}

void Scaler::look_for_panic(TimePoint now, double wanted, double ready) {
  if (wanted / ready >= options_.panic_threshold) {
    panic_since_ = now;
  } else if (panic_since_ && *panic_since_ + options_.stable_window < now) {
    panic_since_.reset();
    most_in_panic_ = 0;
  }
}

std::uint32_t Scaler::delayed(TimePoint now, std::uint32_t wish) {
  while (!wishes_.empty() && wishes_.back().workers <= wish) wishes_.pop_back();
  wishes_.push_back({now, wish});
  while (wishes_.front().at < now - options_.scale_down_delay) wishes_.pop_front();
  return wishes_.front().workers;
}

bool Scaler::knows_what_came_before(TimePoint now) {
  const Duration between = last_tick_ ? now - *last_tick_ : Duration{};
  const Duration known = std::max(options_.stable_window, kTicksMissed * last_between_);
  last_between_ = between;
  last_tick_ = now;
  return !demand_.empty(now, known);
}

Decision Scaler::decide(TimePoint now, const Observation& seen) {
  if (last_ready_ && seen.ready != *last_ready_) changed_ = now;
  last_ready_ = seen.ready;
  // What came before is not known, as after a start: nothing is taken away for a window.
  if (!knows_what_came_before(now) && seen.ready > (options_.min == 0 ? 0u : 1u)) {
    panic_since_ = now;
    most_in_panic_ = seen.ready;
  }

  demand_.add(now, std::max(0.0, seen.demand - seen.elsewhere * options_.utilisation));
  Decision decision{.stable = demand_.average(now, options_.stable_window),
                    .panic = demand_.average(now, panic_window_of(options_))};
  const double target = seen.slots * options_.utilisation;
  const double ready = std::max<double>(1, seen.ready);
  const double most = std::ceil(options_.scale_up_rate_max * ready);
  const double least = std::floor(ready / options_.scale_down_rate_max);
  const double stable_wish = std::ceil(decision.stable / target);
  const double panic_wish = std::ceil(decision.panic / target);

  look_for_panic(now, panic_wish, ready);
  decision.panicking = panic_since_.has_value();
  double wanted = stable_wish;
  double desired = std::clamp(stable_wish, least, most);
  if (decision.panicking) {
    wanted = std::max(stable_wish, panic_wish);
    most_in_panic_ = std::max({most_in_panic_, desired, std::clamp(panic_wish, least, most)});
    desired = most_in_panic_;
  }
  const auto bounded =
      static_cast<std::uint32_t>(std::clamp<double>(desired, options_.min, options_.max));
  decision.desired = delayed(now, bounded);
  const bool cooling = changed_ && now < *changed_ + options_.cooldown;
  if (cooling && decision.desired < seen.ready) {
    decision.desired = std::clamp(seen.ready, options_.min, options_.max);
  }
  const bool held = decision.panicking ? desired > wanted : decision.desired > bounded;
  decision.limit = limit_of(wanted, decision.desired, options_, held);
  decision.reason =
      fmt::format("{:.1f} deliveries over {}, {:.1f} over {}, {:.4g} a worker{}: {:.0f} wanted{}{}",
                  decision.stable, format_duration(options_.stable_window), decision.panic,
                  format_duration(panic_window_of(options_)), target,
                  seen.elsewhere > 0
                      ? fmt::format(", and {:.4g} at others", seen.elsewhere * options_.utilisation)
                      : "",
                  wanted, in_words(decision.limit, options_), decision.panicking ? " (panic)" : "");
  return decision;
}

}  // namespace fanfare::autoscaler
