#include "broker/topic.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/ids.h"
#include "protocol/json_text.h"

namespace fanfare::broker {

using nlohmann::ordered_json;

namespace {

std::string text_of(const ordered_json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

bool flag_of(const ordered_json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_boolean() && at->get<bool>();
}

// Of a subscription its policy, as JSON or as a text that is JSON, and the policy's scope.
Result<void> read_filter(const ordered_json& json, Subscription& into) {
  if (const auto at = json.find("filter"); at != json.end() && !at->is_null()) {
    into.filter = at->is_string() ? at->get<std::string>() : at->dump();
    if (!protocol::nests_within_bounds(into.filter)) {
      return reject(
          fmt::format("the filter policy nests deeper than {} levels", protocol::kJsonDepthMax));
    }
    const ordered_json parsed = ordered_json::parse(into.filter, nullptr, false);
    if (!into.filter.empty() && !parsed.is_object()) {
      return reject("the filter policy is not a JSON object");
    }
    into.filter = parsed.is_object() && !parsed.empty() ? parsed.dump() : "";
  }
  if (const auto at = json.find("filter_scope"); at != json.end() && !at->is_null()) {
    const auto scope = protocol::parse_filter_scope(at->is_string() ? at->get<std::string>() : "");
    if (!scope) return scope.error();
    into.scope = *scope;
  }
  return {};
}

}  // namespace

ordered_json json_of(const Subscription& subscription) {
  ordered_json json{{"function", subscription.function}};
  if (!subscription.filter.empty()) {
    json["filter"] = ordered_json::parse(subscription.filter);
    json["filter_scope"] = protocol::to_string(subscription.scope);
  }
  json["file"] = subscription.from_file;
  return json;
}

Result<Subscription> read_subscription(const ordered_json& json) {
  Subscription subscription;
  subscription.function = text_of(json, "function");
  if (!protocol::is_function_name(subscription.function)) {
    return reject(fmt::format("'{}' is no function's name", subscription.function.substr(0, 64)));
  }
  if (auto read = read_filter(json, subscription); !read) return read.error();
  return subscription;
}

Result<void> check_policy(const std::string& topic, const Subscription& subscription) {
  const auto pattern =
      protocol::subscription_pattern(topic, subscription.filter, subscription.scope);
  if (pattern) return {};
  return reject(fmt::format("{}, {}: {}", topic, subscription.function, pattern.error().message));
}

std::vector<Subscription>::iterator find_in(std::vector<Subscription>& all,
                                            std::string_view function, bool from_file) {
  return std::ranges::find_if(all, [&](const Subscription& one) {
    return one.function == function && one.from_file == from_file;
  });
}

void set_in(std::vector<Subscription>& all, Subscription subscription) {
  const auto at = find_in(all, subscription.function, subscription.from_file);
  if (at != all.end()) {
    *at = std::move(subscription);
    return;
  }
  const auto place_of = [](const Subscription& one) {
    return std::pair(std::string_view{one.function}, !one.from_file);
  };
  all.insert(std::ranges::lower_bound(all, place_of(subscription), {}, place_of),
             std::move(subscription));
}

Result<Declared> read_declared(const ordered_json& body) {
  Declared declared;
  const auto topics = body.find("topics");
  if (topics == body.end() || !topics->is_object()) {
    return reject("declare_topics needs the topics: {\"topics\": {NAME: {\"subscriptions\": []}}}");
  }
  for (const auto& [name, topic] : topics->items()) {
    if (!protocol::is_function_name(name)) {
      return reject(fmt::format("'{}' is no topic's name", name.substr(0, 64)));
    }
    auto& subscriptions = declared[name];
    const auto listed = topic.find("subscriptions");
    if (listed == topic.end()) continue;
    for (const auto& json : *listed) {
      auto subscription = read_subscription(json);
      if (!subscription) return subscription.error();
      if (auto fine = check_policy(name, *subscription); !fine) return fine.error();
      subscription->from_file = true;
      set_in(subscriptions, *std::move(subscription));
    }
  }
  return declared;
}

std::string to_json(const Topic& topic) {
  ordered_json json{{"file", topic.from_file}, {"operator", topic.from_operator}};
  json["subscriptions"] = ordered_json::array();
  for (const Subscription& one : topic.subscriptions) json["subscriptions"].push_back(json_of(one));
  return json.dump();
}

Result<Topic> topic_from_json(std::string_view text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return reject("it is not a JSON object");
  Topic topic{.from_file = flag_of(json, "file"), .from_operator = flag_of(json, "operator")};
  const auto listed = json.find("subscriptions");
  for (const auto& one : listed == json.end() ? ordered_json::array() : *listed) {
    auto subscription = read_subscription(one);
    if (!subscription) return subscription.error();
    subscription->from_file = flag_of(one, "file");
    set_in(topic.subscriptions, *std::move(subscription));
  }
  return topic;
}

}  // namespace fanfare::broker
