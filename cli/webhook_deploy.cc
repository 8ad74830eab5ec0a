#include "cli/webhook_deploy.h"

#include <fmt/format.h>

#include <filesystem>

namespace fanfare::cli {

Result<Checked> webhook_package(const WebhookDefinition& definition) {
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

void say_secret_of_unknown_outcome(const Error& error, const std::string& secret) {
  if (secret.empty() || error.kind == ErrorKind::kReject) return;
  fmt::print(stderr,
             "fanfare: note: if that was done all the same (`fanfare webhook list` shows it), the "
             "new secret, which is not shown again, is\n{}\n",
             secret);
}

}  // namespace fanfare::cli
