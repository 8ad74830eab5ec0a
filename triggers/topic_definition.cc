#include "triggers/topic_definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/nearest.h"
#include "base/size.h"
#include "protocol/ids.h"

namespace fanfare::triggers {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kShape = "must be [[topics.NAME.subscriptions]]";

Result<void> read_key(const std::string& key, const Json& value, SubscriptionDefinition& into) {
  const std::string text = value.is_string() ? value.get<std::string>() : std::string{};
  if (key == "function") {
    if (!protocol::is_function_name(text)) return reject("function must be a function's name");
    into.function = text;
  } else if (key == "filter") {
    if (!value.is_string() && !value.is_object()) {
      return reject("filter must be a table, or a text that is JSON");
    }
    into.filter = value.is_string() ? text : value.dump();
  } else if (key == "filter_scope") {
    const auto scope = protocol::parse_filter_scope(text);
    if (!scope) return scope.error();
    into.scope = *scope;
  } else {
    const std::string meant = nearest(key, {"function", "filter", "filter_scope"});
    return reject(
        fmt::format("unknown key {}{}", key, meant.empty() ? "" : "; did you mean " + meant + "?"));
  }
  return {};
}

Result<SubscriptionDefinition> read_subscription(const Json& object) {
  SubscriptionDefinition subscription;
  for (const auto& [key, value] : object.items()) {
    if (auto read = read_key(key, value, subscription); !read) return read.error();
  }
  if (subscription.function.empty()) return reject("function is missing");
  const auto pattern =
      protocol::subscription_pattern("any", subscription.filter, subscription.scope);
  if (!pattern) return pattern.error();
  return subscription;
}

}  // namespace

Result<void> read_subscriptions(std::string_view text, TopicDefinition& topic) {
  const Json list = Json::parse(text, nullptr, false);
  if (!list.is_array()) return reject(std::string{kShape});
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_object()) return reject(std::string{kShape});
    auto subscription = read_subscription(list[i]);
    if (!subscription) {
      return reject(fmt::format("(number {}): {}", i + 1, subscription.error().message));
    }
    if (std::ranges::find(topic.subscriptions, subscription->function,
                          &SubscriptionDefinition::function) != topic.subscriptions.end()) {
      return reject(
          fmt::format("(number {}): {} subscribes already; one policy can say both, with \"$or\"",
                      i + 1, subscription->function));
    }
    topic.subscriptions.push_back(*std::move(subscription));
  }
  return {};
}

Result<void> check_fits(const Topics& topics, std::size_t bytes_max) {
  if (to_declaration(topics).size() <= bytes_max) return {};
  return reject(
      fmt::format("the topics come to over {}: make their filter policies smaller, or subscribe "
                  "functions by patterns of their manifests",
                  format_size(bytes_max)));
}

std::string to_declaration(const Topics& topics) {
  Json all = Json::object();
  for (const auto& [name, topic] : topics) {
    if (name == "*") continue;
    Json subscriptions = Json::array();
    for (const SubscriptionDefinition& one : topic.subscriptions) {
      Json json{{"function", one.function}};
      if (!one.filter.empty()) {
        // Not as a text, which would have a backslash before each of its quotes.
        Json filter = Json::parse(one.filter, nullptr, false);
        json["filter"] = filter.is_object() ? std::move(filter) : Json(one.filter);
      }
      json["filter_scope"] = protocol::to_string(one.scope);
      subscriptions.push_back(std::move(json));
    }
    all[name]["subscriptions"] = std::move(subscriptions);
  }
  return Json{{"topics", std::move(all)}}.dump();
}

}  // namespace fanfare::triggers
