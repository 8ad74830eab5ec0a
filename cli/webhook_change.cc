// fanfare webhook rotate, enable, disable, remove.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/webhook_deploy.h"
#include "cli/webhook_lookup.h"
#include "cli/webhook_state.h"
#include "cli/webhook_verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

int say_outcome(const Common& common, const std::string& name, const char* outcome,
                const std::string& for_people) {
  if (common.output.json) {
    print_line(ordered_json{{"name", name}, {"outcome", outcome}}.dump());
  } else {
    print_line(for_people);
  }
  return kDone;
}

// What the next deployment of a rotation says; the new secret is the first.
Result<WebhookDefinition> rotated(WebhookDefinition definition, bool finish) {
  const std::string& name = definition.name;
  if (!definition.secret_file.empty()) return definition;
  if (definition.secrets.empty()) {
    return reject(fmt::format(
        "{0} sends unsigned: `fanfare webhook add {0} … --new-secret` gives it a secret", name));
  }
  if (finish && definition.secrets.size() == 1) {
    return reject(fmt::format("{} has one secret: there is nothing to finish", name));
  }
  if (!finish && definition.secrets.size() > 1) {
    return reject(fmt::format(
        "{0} has an old secret still: `fanfare webhook rotate {0} --finish` drops it first", name));
  }
  if (finish) {
    definition.secrets.resize(1);
  } else {
    definition.secrets.insert(definition.secrets.begin(), new_webhook_secret());
  }
  return definition;
}

}  // namespace

int run_webhook_rotate(const Common& common, const RotateWebhookCommand& command) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, command.name);
  if (!webhook) return fail(common.output, webhook.error());
  const auto definition = rotated(webhook->definition, command.finish);
  if (!definition) return fail(common.output, definition.error());
  auto package = webhook_package(*definition);
  if (!package) return fail(common.output, package.error());
  // The file is read for a new deployment, and the same once more would be none.
  if (!definition->secret_file.empty()) {
    package->manifest_toml +=
        fmt::format("# Its secret was read again at {}.\n", format_wall_time(read_clocks().wall));
  }
  const auto deployed = deploy_webhook(common, **broker, *package);
  if (!deployed) {
    const bool is_new = definition->secrets.size() > webhook->definition.secrets.size();
    say_secret_of_unknown_outcome(deployed.error(), is_new ? definition->secrets.front() : "");
    return fail(common.output, deployed.error());
  }
  if (!definition->secret_file.empty()) {
    return say_outcome(
        common, command.name, "read again",
        fmt::format("workers read {} again, for {}", definition->secret_file, command.name));
  }
  if (command.finish) {
    return say_outcome(common, command.name, "finished",
                       fmt::format("{} signs with the new secret alone", command.name));
  }
  if (common.output.json) {
    print_line(ordered_json{
        {"name", command.name}, {"outcome", "rotated"}, {"secret", definition->secrets.front()}}
                   .dump());
    return kDone;
  }
  print_line(fmt::format(
      "{0} signs with two secrets now; when the receiver has the new one: `fanfare webhook rotate "
      "{0} --finish`",
      command.name));
  print_line("the new secret is not shown again:");
  print_line(definition->secrets.front());
  return kDone;
}

int run_webhook_enable(const Common& common, const std::string& name) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, name);
  if (!webhook) return fail(common.output, webhook.error());
  const auto erased = erase_disabled(common.address, name);
  if (!erased) return fail(common.output, erased.error());
  if (!*erased) return say_outcome(common, name, "unchanged", name + " was not disabled");
  return say_outcome(common, name, "enabled", name + " is sent events again, from now on");
}

int run_webhook_disable(const Common& common, const std::string& name) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, name);
  if (!webhook) return fail(common.output, webhook.error());
  const auto written =
      write_disabled(common.address, webhook->definition, "somebody has disabled it");
  if (!written) return fail(common.output, written.error());
  return say_outcome(
      common, name, "disabled",
      fmt::format("{0} is disabled: its events end without being sent, until `fanfare "
                  "webhook enable {0}`",
                  name));
}

int run_webhook_remove(const Common& common, const std::string& name) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, name);
  if (!webhook) return fail(common.output, webhook.error());
  const auto removed = ask(**broker, "remove", {{"name", name}});
  if (!removed) return fail(common.output, removed.error());
  const auto erased = erase_disabled(common.address, name);
  if (!erased) return fail(common.output, erased.error());
  return say_outcome(
      common, name, "removed",
      name +
          " removed; what waits for it, its results and dead letters stay in Redis, and "
          "are there again when one is added under this name");
}

}  // namespace fanfare::cli
