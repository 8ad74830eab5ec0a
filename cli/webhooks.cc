// fanfare webhook list, test.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/webhook_lookup.h"
#include "cli/webhook_state.h"
#include "cli/webhook_verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

struct ListedWebhook {
  DeployedWebhook webhook;
  std::optional<DisabledWebhook> disabled;
  std::uint64_t ready = 0, running = 0, later = 0, dead = 0;

  std::string state() const {
    return webhook.paused ? "paused" : disabled ? "disabled" : "enabled";
  }
  std::string state_for_people() const {
    if (!disabled) return state();
    return fmt::format("{}disabled{}{}", webhook.paused ? "paused, " : "",
                       disabled->since.empty() ? "" : " since " + disabled->since,
                       disabled->why.empty() ? "" : ": " + disabled->why);
  }
  std::string signed_with() const {
    const WebhookDefinition& definition = webhook.definition;
    if (!definition.secret_file.empty()) return "file";
    return definition.secrets.empty()       ? "unsigned"
           : definition.secrets.size() == 1 ? "secret"
                                            : "rotating";
  }
  ordered_json json() const {
    const WebhookDefinition& definition = webhook.definition;
    ordered_json json{{"name", definition.name},   {"url", shown_url(definition.url)},
                      {"on", definition.patterns}, {"format", definition.format},
                      {"signed", signed_with()},   {"allow_private", definition.allow_private},
                      {"state", state()}};
    if (disabled) json["disabled"] = {{"since", disabled->since}, {"why", disabled->why}};
    json["ready"] = ready;
    json["running"] = running;
    json["later"] = later;
    json["dead"] = dead;
    return json;
  }
  std::vector<std::string> cells() const {
    const WebhookDefinition& definition = webhook.definition;
    return {definition.name,
            shown_url(definition.url),
            definition.patterns.empty() ? "(by name only)"
                                        : fmt::format("{}", fmt::join(definition.patterns, " or ")),
            signed_with(),
            state_for_people(),
            std::to_string(ready + running),
            std::to_string(later),
            std::to_string(dead)};
  }
};

Result<std::vector<ListedWebhook>> list_webhooks(const Common& common) {
  auto broker = connect_broker(common.address);
  if (!broker) return broker.error();
  auto webhooks = deployed_webhooks(**broker);
  if (!webhooks) return webhooks.error();
  const auto status = ask(**broker, "status", ordered_json::object());
  if (!status) return status.error();
  std::map<std::string, ordered_json> numbers;
  for (const auto& function : status->value("functions", ordered_json::array())) {
    numbers[text_of(function, "name")] = function;
  }
  auto redis = connect_redis(common.address);
  if (!redis) return redis.error();
  std::vector<ListedWebhook> list;
  for (DeployedWebhook& webhook : *webhooks) {
    auto disabled = read_disabled(*redis, webhook.definition);
    if (!disabled) return disabled.error();
    ListedWebhook listed{std::move(webhook), *std::move(disabled)};
    if (const auto at = numbers.find(listed.webhook.definition.name); at != numbers.end()) {
      listed.ready = at->second.value("ready", std::uint64_t{0});
      listed.running = at->second.value("running", std::uint64_t{0});
      listed.later = at->second.value("later", std::uint64_t{0});
      listed.dead = at->second.value("dead", std::uint64_t{0});
    }
    list.push_back(std::move(listed));
  }
  return list;
}

protocol::Event test_message() {
  protocol::Event event;
  event.type = "webhook.test";
  event.source = "/cli";
  event.content_type = "application/json";
  event.data = R"({"message":"This is a test. Nothing has happened."})";
  return event;
}

int show_test(const Common& common, const std::string& name, const ordered_json& output) {
  if (common.output.json) {
    ordered_json json{{"name", name}};
    json.update(output);
    print_line(json.dump());
  } else if (output.contains("skipped")) {
    print_error(
        common.output,
        fmt::format("nothing was sent: {} is disabled{}{}", name,
                    text_of(output, "since").empty() ? "" : " since ", text_of(output, "since")),
        fmt::format("It says why: {}. `fanfare webhook enable {}` lets it go on.",
                    printable(text_of(output, "why")), name));
  } else if (output.contains("disabled")) {
    print_error(common.output, name + " answered 410: it wants no more, and is disabled now");
  } else {
    const std::string answer = text_of(output, "answer");
    print_line(fmt::format("{} answered {}{}", name, output.value("status", 0),
                           answer.empty() ? "" : ": " + printable(answer)));
  }
  return output.contains("skipped") || output.contains("disabled") ? kFailed : kDone;
}

}  // namespace

int run_webhook_list(const Common& common) {
  const auto all = list_webhooks(common);
  if (!all) return fail(common.output, all.error());
  if (common.output.json) {
    ordered_json list = ordered_json::array();
    for (const ListedWebhook& one : *all) list.push_back(one.json());
    print_line(list.dump());
    return kDone;
  }
  if (all->empty()) {
    print_line("no webhooks; `fanfare webhook add NAME --url URL` adds one");
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const ListedWebhook& one : *all) rows.push_back(one.cells());
  fmt::print("{}",
             format_table({"NAME", "URL", "EVENTS", "SIGNED", "STATE", "QUEUED", "LATER", "DEAD"},
                          rows, common.output.colour_out));
  return kDone;
}

// Invoked, not published: a test that fails is not tried again for days, and leaves no letter.
int run_webhook_test(const Common& common, const std::string& name) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, name);
  if (!webhook) return fail(common.output, webhook.error());
  if (webhook->paused) {
    return fail(
        common.output,
        reject(fmt::format("{0} is paused; `fanfare functions resume {0}` lets it go on, then test",
                           name)));
  }
  const Duration patience = webhook->definition.timeout + std::chrono::seconds{10};
  const auto record = (*broker)->invoke(name, test_message(), patience);
  if (!record) return fail(common.output, record.error());
  if (record->status == protocol::Status::kSucceeded) {
    const auto output = ordered_json::parse(record->output, nullptr, /*allow_exceptions=*/false);
    if (!output.is_object()) return fail(common.output, reject("its output is not JSON"));
    return show_test(common, name, output);
  }
  if (common.output.json) {
    print_line(
        ordered_json{{"name", name},
                     {"error", {{"type", record->error_type}, {"message", record->error_message}}}}
            .dump(-1, ' ', false, ordered_json::error_handler_t::replace));
  }
  print_error(common.output, fmt::format("{}: {}", record->error_type, record->error_message));
  return kFailed;
}

}  // namespace fanfare::cli
