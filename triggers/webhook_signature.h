// Who has sent a webhook: signatures of Standard Webhooks and of GitHub.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
//
// No I/O, no clock. Signatures are compared in constant time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "triggers/http.h"

namespace fanfare::triggers {

enum class WebhookScheme { kStandard, kGithub };

// HMAC-SHA256, as bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);

// A secret as it is written down: "whsec_" and base64 of 24 to 64 bytes for Standard Webhooks, any
// text of at least 16 characters for GitHub. The result is the key.
Result<std::string> webhook_key(WebhookScheme scheme, std::string_view secret);

// "v1,…" of a message: what goes into webhook-signature.
std::string standard_signature(std::string_view key, std::string_view id, std::int64_t timestamp_s,
                               std::string_view body);

struct Webhook {
  std::string id;       // of the message: repeats of it have the same
  std::string subject;  // GitHub's event name
};

// Whether one of the keys has signed it (several: one is being replaced by another), and lately: a
// message of Standard Webhooks whose timestamp is further away than `tolerance` may be a recording.
// The error is for the log; strangers are not told which of these it was.
Result<Webhook> verify_webhook(WebhookScheme scheme, const std::vector<std::string>& keys,
                               const HttpExchange& exchange, WallTime now, Duration tolerance);

}  // namespace fanfare::triggers
