// fanfare functions list, describe, deploy, remove, pause, resume.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/deploy.h"
#include "cli/verbs.h"
#include "protocol/manifest.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

// Asks the broker and reads its JSON answer.
Result<ordered_json> ask(client::BlockingClient& broker, const std::string& verb,
                         const ordered_json& body) {
  const auto answer = broker.admin(verb, body.dump());
  if (!answer) return answer.error();
  ordered_json json = ordered_json::parse(*answer, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return reject("the broker's answer is not JSON");
  return json;
}

Result<ordered_json> ask(const Common& common, const std::string& verb, const ordered_json& body) {
  auto broker = connect_broker(common.address);
  if (!broker) return broker.error();
  return ask(**broker, verb, body);
}

std::string text_of(const ordered_json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

Result<protocol::Manifest> manifest_of(const ordered_json& function) {
  return protocol::parse_manifest(text_of(function, "manifest"), "function.toml",
                                  text_of(function, "name"));
}

std::string patterns_of(const protocol::Manifest& manifest) {
  return manifest.patterns.empty() ? "(by name only)"
                                   : fmt::format("{}", fmt::join(manifest.patterns, " or "));
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
  std::vector<std::vector<std::string>> rows;
  for (const auto& setting : settings) rows.push_back({setting.key, setting.value, setting.origin});
  fmt::print("{}", format_table({"SETTING", "VALUE", "FROM"}, rows, common.output.colour_out));
  return kDone;
}

int run_functions_deploy(const Common& common, const std::vector<std::string>& folders) {
  std::vector<Checked> checked;
  for (const auto& folder : folders) {  // all before the first one is changed
    auto function = check_function(folder);
    if (!function) return fail(common.output, function.error());
    checked.push_back(*std::move(function));
  }
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  for (const Checked& function : checked) {
    const auto deployed = deploy_function(function, *redis, **broker);
    if (!deployed) return fail(common.output, deployed.error());
    if (common.output.json) {
      print_line(ordered_json{{"name", deployed->name},
                              {"generation", deployed->generation},
                              {"digest", function.digest}}
                     .dump());
    } else {
      fmt::print("{} deployed, generation {}\n", deployed->name, deployed->generation);
    }
    std::fflush(stdout);
    for (const auto& line : remarks(function)) fmt::print(stderr, "fanfare: note: {}\n", line);
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
