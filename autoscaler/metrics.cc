#include "autoscaler/metrics.h"

#include <string_view>

namespace fanfare::autoscaler {
namespace {

constexpr std::array<std::string_view, 3> kDirectionNames{"up", "down", "none"};
// In the order of Limit, but for the first, which is two.
constexpr std::array<std::string_view, 6> kReasonNames{"demand", "held", "most",
                                                       "least",  "rate", "panic"};

}  // namespace

void DecisionCounts::note(const Decision& decision, std::uint32_t running) {
  const std::size_t direction = decision.desired > running ? 0 : decision.desired < running ? 1 : 2;
  const bool by_panic = decision.limit == Limit::kNone && decision.panicking;
  const std::size_t reason =
      by_panic ? kReasonNames.size() - 1 : static_cast<std::size_t>(decision.limit);
  ++counts_.at(direction).at(reason);
}

void DecisionCounts::tell(MetricsText& text) const {
  auto family = text.counter("fanfare_autoscaler_decisions_total",
                             "Decisions, by direction and what they followed or were limited by.");
  for (std::size_t i = 0; i < kDirections; ++i) {
    for (std::size_t k = 0; k < kReasons; ++k) {
      family.add({{"direction", kDirectionNames.at(i)}, {"reason", kReasonNames.at(k)}},
                 counts_.at(i).at(k));
    }
  }
}

void tell_scaling(MetricsText& text, const Metrics& m, const ScalerOptions& options,
                  TimePoint now) {
  text.gauge("fanfare_autoscaler_workers", "Workers that its driver knows of, by state.")
      .add({{"state", "running"}}, m.workers.running)
      .add({{"state", "leaving"}}, m.workers.leaving)
      .add({{"state", "failed"}}, m.workers.failed)
      .add({{"state", "refused"}}, m.workers.refused);
  text.gauge("fanfare_autoscaler_workers_desired", "Workers that there should be.")
      .add({}, m.decision.desired);
  text.gauge("fanfare_autoscaler_workers_bound", "Workers that there may be.")
      .add({{"bound", "min"}}, options.min)
      .add({{"bound", "max"}}, options.max);
  text.gauge("fanfare_autoscaler_demand_deliveries",
             "Deliveries that wait or run: now, and on average over each window.")
      .add({{"over", "now"}}, m.seen.demand)
      .add({{"over", "stable_window"}}, m.decision.stable)
      .add({{"over", "panic_window"}}, m.decision.panic);
  text.gauge("fanfare_autoscaler_panicking", "1 while nothing is taken away because of a burst.")
      .add({}, m.decision.panicking ? 1 : 0);
  m.decisions.tell(text);
  text.gauge("fanfare_autoscaler_decision_age_seconds", "Since when it has decided nothing.")
      .add({}, std::chrono::duration<double>(now - m.decided).count());
  text.counter("fanfare_autoscaler_changes_total",
               "Changes of the number of workers, by direction.")
      .add({{"direction", "up"}}, m.scaled_up)
      .add({{"direction", "down"}}, m.scaled_down);
  text.counter("fanfare_autoscaler_failures_total",
               "Ticks that came to nothing, by who did not answer.")
      .add({{"at", "broker"}}, m.failed_broker)
      .add({{"at", "driver"}}, m.failed_driver);
}

}  // namespace fanfare::autoscaler
