#include "autoscaler/broker_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fanfare::autoscaler {
namespace {

using nlohmann::json;

double number_in(const json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_number() ? std::max(0.0, at->get<double>()) : 0;
}

std::string text_in(const json& row, const char* name) {
  const auto at = row.find(name);
  return at != row.end() && at->is_string() ? at->get<std::string>() : std::string{};
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
  std::uint32_t workers = 0;
  for (const json& worker : status["workers"]) {
    if (!worker.is_object() || !says(worker, "state", "running")) continue;
    slots += number_in(worker, "slots");
    ++workers;
  }
  if (workers > 0) view.slots = slots / workers;
  return view;
}

Result<std::vector<ConnectedWorker>> connected_workers_of(std::string_view workers_json) {
  const json answer = json::parse(workers_json, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("workers") || !answer["workers"].is_array()) {
    return reject("the broker's list of workers is none");
  }
  std::vector<ConnectedWorker> workers;
  for (const json& row : answer["workers"]) {
    if (!row.is_object()) continue;
    workers.push_back({.name = text_in(row, "id"),
                       .state = text_in(row, "state"),
                       .host = text_in(row, "host"),
                       .pid = static_cast<std::uint32_t>(number_in(row, "pid")),
                       .slots = number_in(row, "slots"),
                       .held = static_cast<std::uint64_t>(number_in(row, "held"))});
  }
  return workers;
}

}  // namespace fanfare::autoscaler
