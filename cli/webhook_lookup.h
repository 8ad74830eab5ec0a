// Webhooks among the deployed functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/webhook_definition.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

struct DeployedWebhook {
  WebhookDefinition definition;
  std::string digest;  // of the handler's package
  bool paused = false;
};

Result<std::vector<DeployedWebhook>> deployed_webhooks(client::BlockingClient& broker);

// kReject: no function of the name (and which one was meant), or one that is no webhook.
Result<DeployedWebhook> find_webhook(client::BlockingClient& broker, const std::string& name);

// The same, but nothing if no function has the name.
Result<std::optional<DeployedWebhook>> look_for_webhook(client::BlockingClient& broker,
                                                        const std::string& name);

}  // namespace fanfare::cli
