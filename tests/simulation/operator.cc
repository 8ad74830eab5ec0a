#include "tests/simulation/operator.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;

std::string named(const std::string& name) {
  return fmt::format(R"({{"name":"{}"}})", name);
}

}  // namespace

const std::string& Operator::some_function() {
  const auto& functions = world_.workload.functions();
  return functions[world_.random.below(functions.size())].name;
}

void Operator::hold_up() {
  if (!paused_.empty() && world_.random.chance(0.5)) return resume(*paused_.begin());
  const std::string name = some_function();
  paused_.insert(name);
  node_.control("pause", named(name), {});
}

void Operator::resume(const std::string& function) {
  node_.control("resume", named(function), [this, function, turn = turn_](const std::string&) {
    if (turn == turn_) paused_.erase(function);
  });
}

void Operator::purge() {
  node_.control("purge", named(some_function()), {});
}

void Operator::cancel() {
  const auto event = world_.history.some_event(world_.random);
  if (!event) return;
  const std::string id = protocol::to_string(*event);
  const std::string body =
      world_.random.chance(0.5)
          ? fmt::format(R"({{"id":"{}"}})", id)
          : fmt::format(R"({{"id":"{}","function":"{}"}})", id, some_function());
  node_.control("cancel", body,
                [this, id = *event, asked_at = world_.schedule.steady()](const std::string& json) {
                  const auto answer = nlohmann::json::parse(json);
                  for (const auto& one : answer.at("deliveries")) {
                    world_.history.on_cancel_answered(
                        one.at("function"), id, one.at("result").get<std::string>(), asked_at);
                  }
                });
}

void Operator::quieten() {
  if (!quiet_.empty() && world_.random.chance(0.5)) return take_back(*quiet_.begin());
  const std::string name = workers_[world_.random.below(workers_.size())];
  quiet_.insert(name);
  node_.control("drain_worker", fmt::format(R"({{"worker":"{}"}})", name), {});
}

void Operator::take_back(const std::string& worker) {
  node_.control("resume_worker", fmt::format(R"({{"worker":"{}"}})", worker),
                [this, worker, turn = turn_](const std::string& json) {
                  if (turn != turn_) return;  // many things were asked since
                  const auto state = nlohmann::json::parse(json).at("state").get<std::string>();
                  const bool gone = state == "away" && !lives_(worker);
                  if (state == "running" || gone) quiet_.erase(worker);
                });
}

void Operator::set_all_free() {
  ++turn_;
  // A worker may have been told by a broker that is gone, and answers come late: all are asked.
  quiet_.insert(workers_.begin(), workers_.end());
  for (const auto& function : world_.workload.functions()) paused_.insert(function.name);
  ask_until_free();
}

void Operator::ask_until_free() {
  if (all_free()) return;
  for (const auto& name : paused_) resume(name);
  for (const auto& name : quiet_) take_back(name);
  world_.schedule.after(200ms, [this] { ask_until_free(); });
}

}  // namespace fanfare::simulation
