#include "triggers/topic_route.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/ids.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/utf8.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

using nlohmann::json;

// The address has a token of some hundred bytes, and is to be opened.
constexpr std::size_t kLoggedArnBytesMax = 256, kLoggedUrlBytesMax = 1024;
constexpr std::string_view kSnsType = "x-amz-sns-message-type";

HttpResponse not_known(std::string_view topic) {
  if (!protocol::is_function_name(topic)) {
    return problem(404, "a topic's name is 1 to 64 letters, digits, \"-\" and \"_\"");
  }
  return problem(404, fmt::format("no topic is named '{}'; `fanfare topic add` makes one, or "
                                  "[topics.NAME] of triggers.toml",
                                  topic.substr(0, 64)));
}

bool is_json(std::string_view text) {
  return protocol::nests_within_bounds(text) && json::accept(text);
}

std::string type_of_notification(const HttpExchange& exchange) {
  const std::string_view said = exchange.header("Content-Type");
  if (!said.empty() && media_type(said) != "application/x-www-form-urlencoded") {
    return std::string{said};
  }
  return is_json(exchange.body()) ? "application/json" : "text/plain; charset=utf-8";
}

Result<std::string> attributes_of(const HttpExchange& exchange) {
  const std::string_view text = exchange.header("Fanfare-Attributes");
  if (text.empty()) return std::string{};
  const bool is_object = is_json(text) && json::parse(text).is_object();
  if (!is_object) {
    return reject(
        "Fanfare-Attributes: must be a JSON object of names and values, as {\"store\": "
        "\"berlin\"}");
  }
  if (text.size() > protocol::kNotificationAttributesMax) {
    return reject(
        fmt::format("Fanfare-Attributes: at most {} bytes", protocol::kNotificationAttributesMax));
  }
  // Patterns look into what begins as an object.
  return std::string{text.substr(text.find('{'))};
}

bool is_raw_of_sns(const HttpExchange& exchange) {
  return lower_case(exchange.header("x-amz-sns-rawdelivery")) == "true";
}

}  // namespace

bool is_of_sns(const HttpExchange& exchange) {
  return !exchange.header(kSnsType).empty();
}

bool is_address_of_sns(std::string_view url) {
  constexpr std::string_view kBegin = "https://sns.", kEnd = ".amazonaws.com/";
  if (!url.starts_with(kBegin)) return false;
  url.remove_prefix(kBegin.size());
  const std::size_t end = url.find(kEnd);
  if (end == url.npos || end == 0) return false;
  return std::ranges::all_of(url.substr(0, end), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<protocol::Event> notification_of(const HttpExchange& exchange, std::string_view topic) {
  if (is_of_sns(exchange) && !is_raw_of_sns(exchange)) {
    const auto message = protocol::parse_sns_message(exchange.body());
    if (!message) return reject("SNS: " + message.error().message);
    if (message->kind != protocol::SnsMessage::Kind::kNotification) {
      return reject("SNS: x-amz-sns-message-type and Type differ");
    }
    return protocol::event_of(*message, topic);
  }
  protocol::Event event;
  event.type = protocol::kNotificationType;
  event.source = protocol::source_of_topic(topic);
  event.id = exchange.header("x-amz-sns-message-id");
  event.subject = exchange.header("Fanfare-Subject");
  event.content_type = type_of_notification(exchange);
  event.data = exchange.body();
  auto attributes = attributes_of(exchange);
  if (!attributes) return attributes.error();
  if (!attributes->empty()) {
    event.extensions.emplace_back(protocol::kNotificationAttributes, *std::move(attributes));
  }
  return event;
}

BodyPlan TopicRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST"));
  if (path.size() != 2 || !protocol::is_function_name(path[1])) {
    ++counters_.unknown;
    return refuse(path.size() == 2 ? not_known(path[1])
                                   : problem(404, "notifications are sent to /topics/TOPIC"));
  }
  return take_up_to(body_bytes_max_);
}

void TopicRoute::handle(const Exchange& exchange, const Path& path) {
  const std::string& topic = path[1];
  if (topics_.contains(topic)) {
    if (declared_()) return take(topic, exchange);
    return exchange->respond(
        problem(503, "the broker does not know yet who subscribes to this topic; try again"));
  }
  const auto known = known_.find(topic);
  if (topics_.contains("*") || (known != known_.end() && loop_.now().steady < known->second)) {
    return take(topic, exchange);
  }
  ask_for(topic, exchange);
}

void TopicRoute::ask_for(const std::string& topic, const Exchange& exchange) {
  client_.admin("topics", json{{"name", topic}}.dump(),
                [this, topic, exchange](const Result<std::string>& answer) {
                  if (!answer) return exchange->respond(problem_of(answer.error()));
                  const json body = json::parse(*answer, nullptr, false);
                  const bool there =
                      body.is_object() && body.contains("topics") && !body["topics"].empty();
                  if (!there) {
                    ++counters_.unknown;
                    known_.erase(topic);
                    return exchange->respond(not_known(topic));
                  }
                  if (known_.size() >= kKnownMax) known_.clear();
                  known_[topic] = loop_.now().steady + kKnownFor;
                  take(topic, exchange);
                });
}

void TopicRoute::take(const std::string& topic, const Exchange& exchange) {
  const auto refuse_it = [&](const Error& error) {
    ++counters_.malformed;
    exchange->respond(problem_of(error));
  };
  if (is_of_sns(*exchange) && exchange->header(kSnsType) != "Notification") {
    const auto message = protocol::parse_sns_message(exchange->body());
    if (message && message->kind != protocol::SnsMessage::Kind::kNotification) {
      return confirm(*message, topic, exchange);
    }
  }
  auto event = notification_of(*exchange, topic);
  if (!event) return refuse_it(event.error());
  if (const auto read = read_options(*exchange, event->options); !read) {
    return refuse_it(read.error());
  }
  const auto own = topics_.find(topic), all = topics_.find("*");
  const auto definition = own != topics_.end() ? own : all;
  if (event->options.tenant.empty() && definition != topics_.end()) {
    event->options.tenant = definition->second.tenant;
  }
  publish_one(client_, published_, exchange, *event);
}

// It is not for a server to open what somebody has posted to it.
void TopicRoute::confirm(const protocol::SnsMessage& message, const std::string& topic,
                         const Exchange& exchange) {
  ++counters_.confirmations;
  const bool of_sns = is_address_of_sns(message.subscribe_url);
  const bool ended = message.kind == protocol::SnsMessage::Kind::kUnsubscribeConfirmation;
  const std::string arn = protocol::to_utf8(message.topic_arn, kLoggedArnBytesMax);
  const std::string url = protocol::to_utf8(message.subscribe_url, kLoggedUrlBytesMax);
  if (!(of_sns ? log_ : log_not_sns_).allow(loop_.now().steady)) {
    // Whoever waits for one subscribes again.
  } else if (ended) {
    spdlog::warn("topic {}: SNS has ended the subscription of this gateway to {}", topic, arn);
  } else if (of_sns) {
    spdlog::warn("topic {}: SNS asks whether this is to subscribe to {}; if so, open {}", topic,
                 arn, url);
  } else {
    spdlog::warn(
        "topic {}: somebody at {} asks like SNS to confirm a subscription to {}, with an address "
        "that is none of SNS: {}",
        topic, exchange->peer().address, arn, url);
  }
  exchange->respond({.status = 202, .headers = {}, .body = {}});
}

}  // namespace fanfare::triggers
