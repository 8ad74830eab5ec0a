#include "autoscaler/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <vector>

namespace fanfare::autoscaler {
namespace {

using Rows = std::vector<std::pair<std::map<std::string, std::string>, double>>;

double number(std::uint64_t count) {
  return static_cast<double>(count);
}

}  // namespace

std::string metrics_text(const Metrics& m, const ScalerOptions& options) {
  prometheus::Registry registry;
  const auto gauge = [&](const char* name, const char* help, const Rows& rows) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry);
    for (const auto& [labels, value] : rows) family.Add(labels).Set(value);
  };
  const auto counter = [&](const char* name, const char* help, const Rows& rows) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry);
    for (const auto& [labels, value] : rows) family.Add(labels).Increment(value);
  };
  gauge("fanfare_autoscaler_workers", "Workers that its driver knows of, by state.",
        {{{{"state", "running"}}, number(m.workers.running)},
         {{{"state", "leaving"}}, number(m.workers.leaving)},
         {{{"state", "failed"}}, number(m.workers.failed)}});
  gauge("fanfare_autoscaler_workers_desired", "Workers that there should be.",
        {{{}, number(m.decision.desired)}});
  gauge("fanfare_autoscaler_workers_bound", "Workers that there may be.",
        {{{{"bound", "min"}}, number(options.min)}, {{{"bound", "max"}}, number(options.max)}});
  gauge("fanfare_autoscaler_demand_deliveries",
        "Deliveries that wait or run: now, and on average over each window.",
        {{{{"over", "now"}}, m.seen.demand},
         {{{"over", "stable_window"}}, m.decision.stable},
         {{{"over", "panic_window"}}, m.decision.panic}});
  gauge("fanfare_autoscaler_panicking", "1 while nothing is taken away because of a burst.",
        {{{}, m.decision.panicking ? 1.0 : 0.0}});
  counter("fanfare_autoscaler_changes_total", "Changes of the number of workers, by direction.",
          {{{{"direction", "up"}}, number(m.scaled_up)},
           {{{"direction", "down"}}, number(m.scaled_down)}});
  counter("fanfare_autoscaler_failures_total", "Ticks that came to nothing, by who did not answer.",
          {{{{"at", "broker"}}, number(m.failed_broker)},
           {{{"at", "driver"}}, number(m.failed_driver)}});
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

}  // namespace fanfare::autoscaler
