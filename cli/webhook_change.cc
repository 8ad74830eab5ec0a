// fanfare webhook add, rotate, enable, disable, remove.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/deploy.h"
#include "cli/webhook_lookup.h"
#include "cli/webhook_state.h"
#include "cli/webhook_verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

// The handler that ships, under another name and with another manifest: all webhooks share one
// package.
Result<Checked> package_of(const WebhookDefinition& definition) {
  for (const std::string& folder : shipped_functions("functions")) {
    if (std::filesystem::path(folder).filename() != "notify") continue;
    auto checked = check_function(folder);
    if (!checked) return checked.error();
    checked->name = definition.name;
    checked->manifest_toml = manifest_of(definition);
    checked->manifest_file = "webhook " + definition.name;
    checked->patterns = definition.patterns;
    return checked;
  }
  return reject("the function `notify`, which webhooks are made of, is not beside this program");
}

Result<std::uint64_t> deploy_webhook(const Common& common, client::BlockingClient& broker,
                                     const Checked& package) {
  auto redis = connect_redis(common.address);
  if (!redis) return redis.error();
  const auto deployed = deploy_function(package, *redis, broker);
  if (!deployed) return deployed.error();
  return deployed->generation;
}

Result<WebhookDefinition> definition_of(const AddWebhookCommand& command) {
  WebhookDefinition definition = command.definition;
  for (const std::string& word : command.on) {
    auto pattern = pattern_of_word(word);
    if (!pattern) return pattern.error();
    definition.patterns.push_back(*std::move(pattern));
  }
  if (!definition.secret_file.empty()) {
    std::error_code error;
    definition.secret_file =
        std::filesystem::absolute(definition.secret_file, error).lexically_normal();
  }
  if (auto fine = check(definition); !fine) return fine.error();
  return definition;
}

// Its secrets, if nothing is said of them: those it has.
Result<void> settle_secrets(const AddWebhookCommand& command, const DeployedWebhook* held,
                            WebhookDefinition& definition) {
  if (command.new_secret && held && !held->definition.secrets.empty()) {
    return fatal(fmt::format(
        "{0} has a secret: with another its receiver refuses what comes until it knows it. "
        "`fanfare webhook rotate {0}` signs with both in between",
        definition.name));
  }
  if (command.new_secret) definition.secrets = {new_webhook_secret()};
  if (command.new_secret || command.not_signed || !definition.secret_file.empty()) return {};
  if (!held) {
    return fatal(
        "how is it signed? --new-secret makes a secret, --secret-file FILE takes one that lies on "
        "the workers' hosts, --unsigned goes without");
  }
  definition.secrets = held->definition.secrets;
  definition.secret_file = held->definition.secret_file;
  return {};
}

void say_webhook(const Common& common, const WebhookDefinition& definition,
                 std::string_view outcome, const std::string& secret) {
  if (common.output.json) {
    ordered_json json{
        {"name", definition.name}, {"outcome", outcome}, {"url", shown_url(definition.url)}};
    if (!secret.empty()) json["secret"] = secret;
    return print_line(json.dump());
  }
  print_line(fmt::format("{} {}; `fanfare webhook test {}` tries it", definition.name, outcome,
                         definition.name));
  if (secret.empty()) return;
  print_line("its secret, for the receiver, is not shown again:");
  print_line(secret);
}

// The receiver needs it if the deployment was done all the same, and nothing shows it again.
void say_secret_of_unknown_outcome(const Error& error, const std::string& secret) {
  if (secret.empty() || error.kind == ErrorKind::kReject) return;
  fmt::print(stderr,
             "fanfare: note: if that was done all the same (`fanfare webhook list` shows it), the "
             "new secret, which is not shown again, is\n{}\n",
             secret);
}

// What was allowed and is not named this time goes, but not in silence.
void say_what_goes(const WebhookDefinition& before, const WebhookDefinition& definition) {
  if (!before.allow_private || definition.allow_private) return;
  fmt::print(
      stderr,
      "fanfare: note: it is not allowed addresses of this machine and the networks around it "
      "any more: --allow-private was given before and is not now\n");
}

void say_remarks(const WebhookDefinition& definition) {
  if (definition.patterns.empty()) {
    fmt::print(stderr,
               "fanfare: note: no event reaches it by itself: give --on, subscribe it to a topic, "
               "or let a function's on_success or on_failure name it\n");
  }
  std::error_code error;
  if (!definition.secret_file.empty() && !std::filesystem::exists(definition.secret_file, error)) {
    fmt::print(stderr, "fanfare: note: {} is not here; each worker's host must have it\n",
               definition.secret_file);
  }
  if (definition.url.starts_with("http://") && !definition.allow_private) {
    fmt::print(stderr, "fanfare: note: http:// can be read on its way; https:// cannot\n");
  }
}

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

int run_webhook_add(const Common& common, const AddWebhookCommand& command) {
  auto definition = definition_of(command);
  if (!definition) return fail(common.output, definition.error());
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto held = look_for_webhook(**broker, definition->name);
  if (!held) return fail(common.output, held.error());
  const DeployedWebhook* const before = *held ? &**held : nullptr;
  if (auto settled = settle_secrets(command, before, *definition); !settled) {
    return fail(common.output, settled.error());
  }
  const auto package = package_of(*definition);
  if (!package) return fail(common.output, package.error());
  if (before && before->definition == *definition && before->digest == package->digest) {
    say_webhook(common, *definition, "unchanged", "");
    return kDone;
  }
  if (!before) {  // one of that name may have been here, and have been disabled
    const auto erased = erase_disabled(common.address, definition->name);
    if (!erased) return fail(common.output, erased.error());
  }
  const auto deployed = deploy_webhook(common, **broker, *package);
  const std::string secret = command.new_secret ? definition->secrets.front() : "";
  if (!deployed) {
    say_secret_of_unknown_outcome(deployed.error(), secret);
    return fail(common.output, deployed.error());
  }
  say_webhook(common, *definition, before ? "replaced" : "added", secret);
  if (before) say_what_goes(before->definition, *definition);
  say_remarks(*definition);
  return kDone;
}

int run_webhook_rotate(const Common& common, const RotateWebhookCommand& command) {
  auto broker = connect_broker(common.address);
  if (!broker) return fail(common.output, broker.error());
  const auto webhook = find_webhook(**broker, command.name);
  if (!webhook) return fail(common.output, webhook.error());
  const auto definition = rotated(webhook->definition, command.finish);
  if (!definition) return fail(common.output, definition.error());
  auto package = package_of(*definition);
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
