// Whether a webhook is switched off: a row in its function's own store (functions/notify/
// disabling.h knows it, too), written by an attempt that was answered 410, or from here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/redis_sync.h"
#include "base/result.h"
#include "cli/installation.h"
#include "cli/webhook_definition.h"

namespace fanfare::cli {

struct DisabledWebhook {
  std::string since, why;  // may be empty
};

// Nothing if the row is not there, or is about a URL that the webhook had before.
std::optional<DisabledWebhook> parse_disabled(std::string_view row, std::string_view url);
// It has the URL's SHA-256 only, as a URL may hold secrets.
std::string disabled_row(std::string_view since, std::string_view why, std::string_view url);

Result<std::optional<DisabledWebhook>> read_disabled(RedisSync& redis,
                                                     const WebhookDefinition& definition);

// From the next attempt on; what is being sent is not stopped.
Result<void> write_disabled(const Address& address, const WebhookDefinition& definition,
                            const std::string& why);
// Returns whether a row was there. The function may have been removed.
Result<bool> erase_disabled(const Address& address, const std::string& name);

}  // namespace fanfare::cli
