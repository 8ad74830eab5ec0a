// fanfare workers list, drain, resume.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ask.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

std::string number_of(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() ? std::string{} : at->dump();
}

int change(const Common& common, const std::string& verb, const std::string& worker,
           std::string_view words) {
  const auto answer = ask(common, verb, {{"worker", worker}});
  if (!answer) return fail(common.output, answer.error());
  if (common.output.json) {
    print_line(answer->dump());
  } else if (answer->value("state", "") == "away") {
    fmt::print(
        "{} is not connected; this broker tells it when it comes back, a restarted one does "
        "not know\n",
        worker);
  } else {
    fmt::print("{} {}\n", worker, words);
  }
  return kDone;
}

}  // namespace

int run_workers_list(const Common& common) {
  const auto answer = ask(common, "workers", ordered_json::object());
  if (!answer) return fail(common.output, answer.error());
  const auto workers = answer->value("workers", ordered_json::array());
  if (common.output.json) {
    print_line(workers.dump());
    return kDone;
  }
  if (workers.empty()) {
    print_line("no worker has joined; deliveries wait");
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& worker : workers) {
    rows.push_back({text_of(worker, "id"), text_of(worker, "host").substr(0, 8),
                    number_of(worker, "pid"), number_of(worker, "slots"), text_of(worker, "state"),
                    number_of(worker, "instances"), number_of(worker, "busy"),
                    number_of(worker, "waiting"), number_of(worker, "held"),
                    human_ms(worker.value("heard_ms", 0.0))});
  }
  fmt::print("{}", format_table({"WORKER", "HOST", "PID", "SLOTS", "STATE", "INSTANCES", "BUSY",
                                 "WAITING", "HELD", "HEARD"},
                                rows, common.output.colour_out));
  return kDone;
}

int run_workers_drain(const Common& common, const std::string& worker) {
  return change(common, "drain_worker", worker,
                "takes no new work and finishes what runs; `fanfare workers list` shows when it "
                "holds nothing");
}

int run_workers_resume(const Common& common, const std::string& worker) {
  return change(common, "resume_worker", worker,
                "is told to take work again; `fanfare workers list` shows when it does");
}

}  // namespace fanfare::cli
