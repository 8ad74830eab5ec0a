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

template <typename Number>
Number number_of(const ordered_json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_number_unsigned() ? at->get<Number>() : Number{};
}

}  // namespace

std::vector<Drain> drains_in(std::string_view status_json, TimePoint now) {
  const auto status = ordered_json::parse(status_json, nullptr, /*allow_exceptions=*/false);
  std::vector<Drain> drains;
  if (!status.is_object() || !status.contains("drains") || !status["drains"].is_array()) {
    return drains;
  }
  for (const ordered_json& row : status["drains"]) {
    if (!row.is_object()) continue;
    const auto worker = row.find("worker");
    const auto stopped = row.find("stopped");
    Drain drain{.number = number_of<std::uint32_t>(row, "number"),
                .worker = worker != row.end() && worker->is_string() ? worker->get<std::string>()
                                                                     : std::string{},
                .pid = number_of<std::uint32_t>(row, "pid"),
                .since = now,
                .stopped = stopped != row.end() && *stopped == true};
    if (drain.number != 0 && !drain.worker.empty()) drains.push_back(std::move(drain));
  }
  return drains;
}

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
  if (!changes_.empty()) {
    const Change& last = changes_.front();
    if (last.from == change.from && last.to == change.to && last.outcome == change.outcome) {
      changes_.pop_front();
    }
  }
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
  ordered_json drains = ordered_json::array();
  for (const Drain& drain : workers_.drains) {
    drains.push_back({{"number", drain.number},
                      {"worker", drain.worker},
                      {"pid", drain.pid},
                      {"stopped", drain.stopped}});
  }
  const ordered_json status{{"at", format_wall_time(at_)},
                            {"driver", driver_},
                            {"dry_run", dry_run_},
                            {"min", options_.min},
                            {"max", options_.max},
                            {"workers", workers_.running},
                            {"leaving", workers_.leaving},
                            {"failed", workers_.failed},
                            {"refused", workers_.refused},
                            {"desired", decision_.desired},
                            {"demand", rounded(seen_.demand)},
                            {"stable", rounded(decision_.stable)},
                            {"panic", rounded(decision_.panic)},
                            {"panicking", decision_.panicking},
                            {"slots", rounded(seen_.slots)},
                            {"slots_elsewhere", rounded(seen_.elsewhere)},
                            {"reason", decision_.reason},
                            {"trouble", trouble_},
                            {"drains", std::move(drains)},
                            {"changes", std::move(changes)}};
  return status.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace fanfare::autoscaler
