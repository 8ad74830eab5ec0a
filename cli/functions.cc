// fanfare functions list, describe, deploy, remove, pause, resume, purge.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/ask.h"
#include "cli/confirm.h"
#include "cli/deploy.h"
#include "cli/deployment_view.h"
#include "cli/verbs.h"
#include "protocol/manifest.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

Result<protocol::Manifest> manifest_of(const ordered_json& function) {
  return protocol::parse_manifest(text_of(function, "manifest"), "function.toml",
                                  text_of(function, "name"));
}

std::string patterns_of(const protocol::Manifest& manifest) {
  return manifest.patterns.empty() ? "(by name only)"
                                   : fmt::format("{}", fmt::join(manifest.patterns, " or "));
}

// Workers where it does not start, and a deployment that is on its way or was not to be.
void print_trouble(const ordered_json& function, const Output& output) {
  for (const auto& worker : function.value("workers", ordered_json::array())) {
    const auto error = worker.find("error");
    if (error == worker.end() || !error->is_object()) continue;
    fmt::print("{} {}: {}: {}\n", paint(Colour::kRed, "does not start on", output.colour_out),
               printable(text_of(worker, "id")), printable(text_of(*error, "type")),
               printable(text_of(*error, "message")));
  }
  const auto deployment = function.find("deployment");
  if (deployment == function.end()) return;
  const std::string state = text_of(*deployment, "state");
  const std::string digest = text_of(*deployment, "digest").substr(0, 12);
  if (state == "preparing") fmt::print("a deployment is tried by the workers: digest {}\n", digest);
  if (state == "refused") {
    fmt::print("the latest deployment, digest {}, was refused: {}\n", digest,
               printable(text_of(*deployment, "error")));
  }
}

}  // namespace

int run_functions_list(const Common& common) {
  const auto answer = ask(common, "functions", ordered_json::object());
  if (!answer) return fail(common.output, answer.error());
  const ordered_json functions = answer->value("functions", ordered_json::array());
  if (common.output.json) {
    print_line(functions.dump());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& function : functions) {
    const auto manifest = manifest_of(function);
    rows.push_back({text_of(function, "name"), text_of(function, "state"),
                    std::to_string(function.value("generation", std::uint64_t{0})),
                    manifest ? patterns_of(*manifest) : manifest.error().message});
  }
  if (rows.empty()) {
    print_line("no functions; deploy one with `fanfare functions deploy FOLDER`");
  } else {
    fmt::print("{}", format_table({"NAME", "STATE", "GENERATION", "EVENTS"}, rows,
                                  common.output.colour_out));
  }
  return kDone;
}

int run_functions_describe(const Common& common, const std::string& name) {
  const auto function = ask(common, "describe", {{"name", name}});
  if (!function) return fail(common.output, function.error());
  const auto manifest = manifest_of(*function);
  if (!manifest) return fail(common.output, manifest.error());
  const auto settings = protocol::describe(*manifest);
  if (common.output.json) {
    ordered_json json = *function;
    json.erase("manifest");
    for (const auto& setting : settings) {
      json["settings"][setting.key] = {{"value", setting.value}, {"origin", setting.origin}};
    }
    print_line(json.dump());
    return kDone;
  }
  fmt::print("{}  {}  generation {}  digest {}\n",
             paint(Colour::kBold, name, common.output.colour_out), text_of(*function, "state"),
             function->value("generation", std::uint64_t{0}),
             text_of(*function, "digest").substr(0, 12));
  print_trouble(*function, common.output);
  std::vector<std::vector<std::string>> rows;
  for (const auto& setting : settings) rows.push_back({setting.key, setting.value, setting.origin});
  fmt::print("{}", format_table({"SETTING", "VALUE", "FROM"}, rows, common.output.colour_out));
  return kDone;
}

int run_functions_deploy(const Common& common, const DeployCommand& command) {
  std::vector<Checked> checked;
  for (const auto& folder : command.folders) {  // all before the first one is changed
    auto function = check_function(folder);
    if (!function) return fail(common.output, function.error());
    checked.push_back(*std::move(function));
  }
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  for (const Checked& function : checked) {
    const auto deployed =
        deploy_function(function, *redis, **broker, follow_options(common, command.follow));
    end_progress(common);
    if (!deployed) return fail(common.output, deployed.error());
    print_deployed(common, *deployed, "deployed");
    for (const auto& line : remarks(function)) fmt::print(stderr, "fanfare: note: {}\n", line);
    for (const auto& missing : deployed->missing_destinations) {
      fmt::print(
          stderr,
          "fanfare: note: its destination {} is not deployed; until it is, what it should be "
          "told goes to the dead letters of {}\n",
          missing, missing);
    }
  }
  return kDone;
}

int run_functions_remove(const Common& common, const std::string& name) {
  const auto answer = ask(common, "remove", {{"name", name}});
  if (!answer) return fail(common.output, answer.error());
  if (common.output.json) {
    print_line(answer->dump());
  } else {
    fmt::print("{} removed; its queue, results, dead letters and rows stay in Redis\n", name);
  }
  return kDone;
}

namespace {

// Follows a purge until it is over; how many deliveries it has ended.
Result<std::uint64_t> follow_purge(const Common& common, client::BlockingClient& broker,
                                   const std::string& name) {
  using namespace std::chrono_literals;
  ordered_json body{{"name", name}};
  for (auto pause = 5ms;; pause = std::min<std::chrono::milliseconds>(2 * pause, 250ms)) {
    const auto answer = ask(broker, "purge", body);
    if (common.output.progress) fmt::print(stderr, "\r\x1b[K");
    if (!answer) return answer.error();
    const auto cancelled = answer->value("cancelled", std::uint64_t{0});
    if (answer->value("done", false)) return cancelled;
    if (common.output.progress) fmt::print(stderr, "{} ended so far", cancelled);
    body["purge"] = answer->value("purge", std::uint64_t{0});
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

int run_functions_purge(const Common& common, const std::string& name, bool yes) {
  if (!yes) {
    const auto sure = confirm(
        fmt::format("End everything that waits in the queue of {}, delayed and retrying deliveries "
                    "included?",
                    name));
    if (!sure) return fail(common.output, sure.error());
    if (!*sure) {
      fmt::print("nothing was purged\n");
      return kDone;
    }
  }
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto purged = follow_purge(common, **broker, name);
  if (!purged) return fail(common.output, purged.error());
  if (common.output.json) {
    print_line(ordered_json{{"name", name}, {"cancelled", *purged}}.dump());
  } else {
    fmt::print("{} deliveries of {} ended as cancelled; what runs goes on\n", *purged, name);
  }
  return kDone;
}

int run_functions_pause(const Common& common, const std::string& name) {
  const auto answer = ask(common, "pause", {{"name", name}});
  if (!answer) return fail(common.output, answer.error());
  if (common.output.json) {
    print_line(answer->dump());
  } else {
    fmt::print(
        "{0} is paused: events queue, none is handed to a worker; `fanfare functions resume "
        "{0}` goes on\n",
        name);
  }
  return kDone;
}

int run_functions_resume(const Common& common, const std::string& name) {
  const auto answer = ask(common, "resume", {{"name", name}});
  if (!answer) return fail(common.output, answer.error());
  if (common.output.json) {
    print_line(answer->dump());
  } else {
    fmt::print("{} goes on\n", name);
  }
  return kDone;
}

}  // namespace fanfare::cli
