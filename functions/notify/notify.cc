// An event, delivered to a webhook and signed so that its receiver can trust it.

#include <curl/curl.h>
#include <fanfare/function.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "disabling.h"
#include "payload.h"
#include "settings.h"
#include "signature.h"
#include "template.h"
#include "webhook.h"

namespace {

using namespace std::chrono_literals;
using notify::Format;
using Json = nlohmann::ordered_json;

constexpr std::string_view kNotification = "notification.published";
constexpr long kGone = 410;
constexpr auto kToAnswer = 500ms;  // what of the attempt's time is not the receiver's

std::unique_ptr<notify::Webhook> webhook;  // of this instance

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string text_in(const nlohmann::json& data, const char* name) {
  const auto at = data.is_object() ? data.find(name) : data.end();
  return data.is_object() && at != data.end() && at->is_string() ? at->get<std::string>() : "";
}

// Where a message goes and what it says.
struct Order {
  std::string url;
  bool url_is_ours = true;  // from the environment, not from the data
  std::string text;
};

Order order_of(const notify::Settings& settings, const fanfare::Event& event) {
  Order order{.url = std::string(settings.url)};
  const bool is_notification = event.type == kNotification;
  nlohmann::json data;
  if ((is_notification || settings.url_from_data || !settings.text.empty()) &&
      notify::is_json(event.data)) {
    data = nlohmann::json::parse(event.data);
  }
  if (settings.url_from_data) {
    if (std::string url = text_in(data, "url"); !url.empty()) {
      order = {.url = std::move(url), .url_is_ours = false};
    }
  }
  // As it ships nobody has said where to, and an event that does not either wants nothing of it.
  if (order.url.empty() && !settings.url_from_data && text_in(data, "url").empty()) return order;
  if (order.url.empty()) {
    throw fanfare::Failure{"ConfigError",
                           settings.url_from_data
                               ? "neither the data's url nor WEBHOOK_URL says where to"
                               : "WEBHOOK_URL does not say where to (a url in the data counts only "
                                 "with WEBHOOK_URL_FROM_DATA = \"yes\")"}
        .retryable(false);
  }
  if (settings.format == Format::kEvent) {
    // What other events call a template may be anything.
    std::string text = is_notification ? text_in(data, "template") : "";
    if (text.empty()) text = settings.text;
    order.text = notify::render(text, data);
  }
  return order;
}

// The trace that the event is in, for the receiver's spans; a publisher's text, so nothing in it
// may become another header.
std::vector<std::string> trace_headers(const fanfare::Event& event) {
  std::vector<std::string> headers;
  for (const char* name : {"traceparent", "tracestate"}) {
    const std::string_view value = event.extension(name).value_or("");
    const bool printable =
        std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e; });
    if (!value.empty() && printable) {
      headers.push_back(std::string(name) + ": " + std::string(value));
    }
  }
  return headers;
}

notify::Message message_of(const notify::Settings& settings, const fanfare::Event& event,
                           const Order& order, const std::string& id) {
  notify::Payload payload = notify::payload_of(settings.format, event, order.text);
  const std::int64_t now = unix_seconds();
  notify::Message message{order.url, std::move(payload.body), std::move(payload.headers)};
  for (std::string header :
       {std::string("expect:"), "webhook-id: " + id, "webhook-timestamp: " + std::to_string(now)}) {
    message.headers.push_back(std::move(header));
  }
  for (std::string& header : trace_headers(event)) message.headers.push_back(std::move(header));
  if (!settings.secrets.empty()) {
    message.headers.push_back("webhook-signature: " +
                              notify::sign_with_each(settings.secrets, id, now, message.body));
  }
  return message;
}

fanfare::Output output_of(const Json& json) {
  return fanfare::Output::json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

FANFARE_INIT {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) {
  const notify::Settings settings = notify::settings_of_environment();
  if (!webhook) {
    webhook = std::make_unique<notify::Webhook>(notify::private_addresses_of_environment());
  }
  const Order order = order_of(settings, event);
  if (order.url.empty()) {
    context.log(fanfare::Level::kWarning, "WEBHOOK_URL does not say where to: nothing is sent");
    return output_of({{"skipped", "unconfigured"},
                      {"why",
                       "WEBHOOK_URL in [env] does not say where to; `fanfare webhook add` "
                       "makes a webhook"}});
  }
  if (order.url_is_ours) {
    if (const auto off = notify::disabled(context.store(), order.url)) {
      return output_of({{"skipped", "disabled"}, {"since", off->since}, {"why", off->why}});
    }
  }
  // The id stays the same in every attempt, so a receiver can tell a repeat.
  const std::string id = "msg_" + std::string(event.id);
  const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(context.remaining());
  const notify::Answer answer =
      webhook->post(message_of(settings, event, order, id),
                    std::max<std::chrono::milliseconds>(time - kToAnswer, 100ms));
  if (answer.status == kGone && order.url_is_ours) {
    // A failed attempt would leave no row behind: so this one ends well, and says what it found.
    notify::disable(context.store(), order.url, "the webhook answered 410");
    context.log(fanfare::Level::kWarning, "the webhook answered 410: it is disabled from now on");
    return output_of({{"status", answer.status}, {"webhook_id", id}, {"disabled", true}});
  }
  notify::require_success(answer);
  Json output{{"status", answer.status}, {"webhook_id", id}};
  if (!order.text.empty()) output["text"] = order.text;
  if (!answer.start.empty()) output["answer"] = answer.start;
  return output_of(output);
}
