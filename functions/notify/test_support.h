// What the tests of notify have in common.
#pragma once

#include <fanfare/function.h>

#include <string>
#include <utility>
#include <vector>

#include "functions/notify/canned_server.h"
#include "triggers/fake_exchange.h"
#include "triggers/webhook_signature.h"

namespace notify {

inline constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
inline constexpr const char* kOtherSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

template <typename Action>
fanfare::Failure failure_of(Action action) {
  try {
    action();
  } catch (const fanfare::Failure& failure) {
    return failure;
  }
  return {"none", ""};
}

// Whether the gateway would take it, with this one secret.
inline bool signed_with(const char* secret, const CannedServer::Request& request) {
  using namespace fanfare::triggers;
  std::vector<HttpHeader> headers;
  for (const auto& [name, value] : request.headers) headers.push_back({name, value});
  const FakeExchange exchange("POST", "/webhooks/x", std::move(headers), request.body);
  const auto key = webhook_key(WebhookScheme::kStandard, secret);
  return key && verify_webhook(WebhookScheme::kStandard, {*key}, exchange,
                               fanfare::read_clocks().wall, std::chrono::minutes{5});
}

}  // namespace notify
