#include "cli/deployment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/ask.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;
using namespace std::chrono_literals;

ordered_json workers_in(const ordered_json& status) {
  const auto at = status.find("workers");
  return at != status.end() && at->is_array() ? *at : ordered_json::array();
}

std::size_t spoken_in(const ordered_json& workers) {
  return static_cast<std::size_t>(std::ranges::count_if(
      workers, [](const ordered_json& one) { return text_of(one, "state") != "asked"; }));
}

// What the first worker that refused it has printed while it tried.
std::string last_words(const ordered_json& workers) {
  for (const auto& one : workers) {
    std::string log = text_of(one, "log");
    while (log.ends_with('\n')) log.pop_back();
    if (!log.empty()) return fmt::format("\nit printed on {}:\n{}", text_of(one, "id"), log);
  }
  return {};
}

Deployed deployed_by(const ordered_json& answer, const std::string& name) {
  Deployed deployed;
  deployed.name = text_of(answer, "name").empty() ? name : text_of(answer, "name");
  deployed.generation = answer.value("generation", std::uint64_t{0});
  deployed.digest = text_of(answer, "digest");
  deployed.changed = answer.value("changed", true);
  for (const auto& one : workers_in(answer)) {
    if (text_of(one, "state") == "ready") deployed.workers.push_back(text_of(one, "id"));
  }
  if (const auto missing = answer.find("missing_destinations");
      missing != answer.end() && missing->is_array()) {
    for (const auto& destination : *missing) {
      if (destination.is_string()) deployed.missing_destinations.push_back(destination);
    }
  }
  return deployed;
}

}  // namespace

Result<Deployed> follow_deployment(client::BlockingClient& broker, const std::string& verb,
                                   ordered_json body, const FollowOptions& options) {
  const std::string name = text_of(body, "name");
  body["follow"] = true;
  body["timeout_ms"] = to_ms(options.timeout);
  auto answer = ask(broker, verb, body);
  if (!answer) return answer.error();
  const auto number = answer->value("deployment", std::uint64_t{0});
  for (auto pause = 2ms;; pause = std::min<std::chrono::milliseconds>(2 * pause, 100ms)) {
    const std::string state = text_of(*answer, "state");
    // A broker of an older build answers once it has deployed, and knows no states.
    if (state.empty() || state == "done") return deployed_by(*answer, name);
    const ordered_json workers = workers_in(*answer);
    if (state == "refused") {
      return reject(fmt::format("{} was not deployed: {}{}", name, text_of(*answer, "error"),
                                last_words(workers)));
    }
    if (!options.wait) {
      Deployed pending = deployed_by(*answer, name);
      pending.pending = true;
      return pending;
    }
    if (options.on_progress) options.on_progress(spoken_in(workers), workers.size());
    std::this_thread::sleep_for(pause);
    answer = ask(broker, "deployment", {{"name", name}, {"deployment", number}});
    if (!answer) return answer.error();
  }
}

}  // namespace fanfare::cli
