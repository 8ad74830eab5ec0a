#include "autoscaler/history.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace fanfare::autoscaler {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kChangesMax = 50;

double rounded(double value) {
  return std::round(value * 10) / 10;
}

}  // namespace

History::History(std::string driver, bool dry_run, const ScalerOptions& options)
    : driver_(std::move(driver)), dry_run_(dry_run), options_(options) {}

void History::decided(WallTime at, const Observation& seen, const WorkerSet& workers,
                      const Decision& decision) {
  at_ = at;
  seen_ = seen;
  workers_ = workers;
  decision_ = decision;
  trouble_.clear();
}

void History::changed(Change change) {
  changes_.push_front(std::move(change));
  if (changes_.size() > kChangesMax) changes_.pop_back();
}

void History::failed(WallTime at, std::string why) {
  at_ = at;
  trouble_ = std::move(why);
}

std::string History::to_json() const {
  ordered_json changes = ordered_json::array();
  for (const Change& change : changes_) {
    changes.push_back({{"at", format_wall_time(change.at)},
                       {"from", change.from},
                       {"to", change.to},
                       {"reason", change.reason},
                       {"outcome", change.outcome}});
  }
  const ordered_json status{{"at", format_wall_time(at_)},
                            {"driver", driver_},
                            {"dry_run", dry_run_},
                            {"min", options_.min},
                            {"max", options_.max},
                            {"workers", workers_.running},
                            {"leaving", workers_.leaving},
                            {"failed", workers_.failed},
                            {"desired", decision_.desired},
                            {"demand", rounded(seen_.demand)},
                            {"stable", rounded(decision_.stable)},
                            {"panic", rounded(decision_.panic)},
                            {"panicking", decision_.panicking},
                            {"slots", rounded(seen_.slots)},
                            {"reason", decision_.reason},
                            {"trouble", trouble_},
                            {"changes", std::move(changes)}};
  return status.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace fanfare::autoscaler
