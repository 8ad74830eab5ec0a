// A notification, delivered to a webhook and signed so that its receiver can trust it.

#include <curl/curl.h>
#include <fanfare/function.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "signature.h"
#include "template.h"
#include "webhook.h"

namespace {

std::unique_ptr<notify::Webhook> webhook;  // of this instance

// From the notification itself, else from the environment.
std::string setting(const nlohmann::json& data, const char* key, const char* variable,
                    std::string_view otherwise) {
  if (data.is_object() && data.contains(key) && data[key].is_string()) return data[key];
  return std::string(fanfare::Context::env(variable).value_or(otherwise));
}

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

FANFARE_INIT {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}
FANFARE_START {
  webhook = std::make_unique<notify::Webhook>();
}

FANFARE_FUNCTION(const fanfare::Event& event) {
  auto data = nlohmann::json::parse(event.data, nullptr, false);
  if (data.is_discarded()) {
    return fanfare::Failure{"MalformedNotification", "the data is not JSON"}.retryable(false);
  }
  notify::Message message;
  message.url = setting(data, "url", "WEBHOOK_URL", "");
  if (message.url.empty()) {
    return fanfare::Failure{"ConfigError", "neither the data's url nor WEBHOOK_URL says where to"}
        .retryable(false);
  }
  const std::string text = notify::render(setting(data, "template", "NOTIFY_TEMPLATE", ""), data);
  nlohmann::ordered_json body{{"type", event.type}, {"source", event.source}};
  if (!event.time.empty()) body["timestamp"] = event.time;
  if (!text.empty()) body["text"] = text;
  body["data"] = std::move(data);
  message.body = body.dump();

  // The id stays the same in every attempt, so a receiver can tell a repeat.
  const std::string id = "msg_" + std::string(event.id);
  const std::int64_t now = unix_seconds();
  message.headers = {"content-type: application/json", "expect:", "webhook-id: " + id,
                     "webhook-timestamp: " + std::to_string(now)};
  if (const auto secret = fanfare::Context::env("WEBHOOK_SECRET"); secret && !secret->empty()) {
    message.headers.push_back("webhook-signature: " + notify::sign(*secret, id, now, message.body));
  }
  const long status = webhook->post(message);
  return fanfare::Output::object({{"status", status}, {"webhook_id", id}, {"text", text}});
}
