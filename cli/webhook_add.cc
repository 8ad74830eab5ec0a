// fanfare webhook add.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/ask.h"
#include "cli/event_input.h"
#include "cli/webhook_deploy.h"
#include "cli/webhook_lookup.h"
#include "cli/webhook_state.h"
#include "cli/webhook_verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

// Without the line's end that files have.
Result<std::string> read_url(const std::string& given) {
  if (given != "-" && !given.starts_with('@')) return given;
  const auto text = read_data(given, "--url", 2 * kWebhookUrlBytesMax);
  if (!text) return text.error();
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text->find_first_not_of(kBlanks);
  if (begin == text->npos) return fatal("--url: there is nothing in it");
  return text->substr(begin, text->find_last_not_of(kBlanks) + 1 - begin);
}

Result<WebhookDefinition> definition_of(const AddWebhookCommand& command) {
  WebhookDefinition definition = command.definition;
  auto url = read_url(command.url);
  if (!url) return url.error();
  definition.url = *std::move(url);
  if (command.new_secret && !definition.secret_file.empty()) {
    return fatal(fmt::format(
        "--new-secret makes a secret that is kept here, --secret-file takes the one that lies in a "
        "file: give one of them. A secret for {} is made with "
        "`echo whsec_$(openssl rand -base64 32)`",
        definition.secret_file));
  }
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
  if (command.new_secret && held && !held->definition.secret_file.empty()) {
    return fatal(fmt::format(
        "{0}'s secret lies in {1} on the workers' hosts, and a new one is put there: into the "
        "first line, the old one into the second; then `fanfare webhook rotate {0}` has the "
        "workers read it again. To have it kept here instead, `fanfare webhook add {0} … "
        "--unsigned` lets go of the file first; what is sent until --new-secret goes unsigned",
        definition.name, held->definition.secret_file));
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
  const auto package = webhook_package(*definition);
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

}  // namespace fanfare::cli
