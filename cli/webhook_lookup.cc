#include "cli/webhook_lookup.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "cli/ask.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

struct Found {
  std::vector<DeployedWebhook> webhooks;
  std::vector<std::string> others;
};

Result<Found> read_functions(client::BlockingClient& broker) {
  const auto answer = ask(broker, "functions", ordered_json::object());
  if (!answer) return answer.error();
  Found found;
  for (const auto& function : answer->value("functions", ordered_json::array())) {
    const std::string name = text_of(function, "name");
    auto definition = webhook_of(name, text_of(function, "manifest"));
    if (definition) {
      found.webhooks.push_back({*std::move(definition), text_of(function, "digest"),
                                text_of(function, "state") == "paused"});
    } else {
      found.others.push_back(name);
    }
  }
  return found;
}

}  // namespace

Result<std::vector<DeployedWebhook>> deployed_webhooks(client::BlockingClient& broker) {
  auto found = read_functions(broker);
  if (!found) return found.error();
  return std::move(found->webhooks);
}

Result<std::optional<DeployedWebhook>> look_for_webhook(client::BlockingClient& broker,
                                                        const std::string& name) {
  auto found = read_functions(broker);
  if (!found) return found.error();
  for (DeployedWebhook& webhook : found->webhooks) {
    if (webhook.definition.name == name) return std::optional{std::move(webhook)};
  }
  for (const std::string& other : found->others) {
    if (other != name) continue;
    return reject(fmt::format(
        "{} is a function that was deployed from a folder, not with `fanfare webhook add`; it is "
        "looked after with `fanfare functions`",
        name));
  }
  return std::optional<DeployedWebhook>{};
}

Result<DeployedWebhook> find_webhook(client::BlockingClient& broker, const std::string& name) {
  auto webhook = look_for_webhook(broker, name);
  if (!webhook) return webhook.error();
  if (*webhook) return **std::move(webhook);
  std::vector<std::string> names;
  if (const auto all = deployed_webhooks(broker)) {
    for (const DeployedWebhook& one : *all) names.push_back(one.definition.name);
  }
  const std::string meant = nearest(name, names);
  return reject(fmt::format("not_found: no webhook is named '{}'{}", name,
                            meant.empty() ? "; `fanfare webhook list` shows those there are"
                                          : "; did you mean " + meant + "?"));
}

}  // namespace fanfare::cli
