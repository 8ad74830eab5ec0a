#include "autoscaler/broker_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fanfare::autoscaler {
namespace {

using nlohmann::json;

double number_in(const json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_number() ? at->get<double>() : 0;
}

bool says(const json& row, const char* name, const char* text) {
  const auto at = row.find(name);
  return at != row.end() && *at == text;
}

double demand_of(const json& function) {
  const double running = number_in(function, "running");
  if (!says(function, "state", "active")) return running;
  const double all = running + number_in(function, "lendable");
  const double most = number_in(function, "max_concurrency");
  return most > 0 ? std::min(all, std::max(running, most)) : all;
}

}  // namespace

Result<BrokerView> broker_view_of(std::string_view status_json) {
  const json status = json::parse(status_json, nullptr, /*allow_exceptions=*/false);
  if (!status.is_object() || !status.contains("functions") || !status["functions"].is_array() ||
      !status.contains("workers") || !status["workers"].is_array()) {
    return reject("the broker's status has no functions and workers");
  }
  BrokerView view;
  for (const json& function : status["functions"]) {
    if (function.is_object()) view.demand += demand_of(function);
  }
  double slots = 0;
  for (const json& worker : status["workers"]) {
    if (!worker.is_object() || !says(worker, "state", "running")) continue;
    slots += number_in(worker, "slots");
    ++view.workers;
  }
  if (view.workers > 0) view.slots = slots / view.workers;
  return view;
}

}  // namespace fanfare::autoscaler
