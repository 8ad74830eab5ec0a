// A topic and who subscribes to it, and how that is written in Redis and asked for by operators.
//
// A subscriber is a function, and a notification is an event like any other: a subscription is one
// more pattern of the function (protocol/filter_policy.h). triggers.toml and operators have their
// own subscriptions, also of the same function, which then gets what either policy wants, once; so
// that each can take back its own, and what the other wants stays.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/filter_policy.h"

namespace fanfare::broker {

struct Subscription {
  std::string function;
  std::string filter;  // JSON; empty: everything
  protocol::FilterScope scope = protocol::FilterScope::kAttributes;
  bool from_file = false;  // else operators have made it
  bool operator==(const Subscription&) const = default;
};

struct Topic {
  bool from_file = false, from_operator = false;  // at least one
  // Ascending by function, the file's before the operators'; of each at most one.
  std::vector<Subscription> subscriptions;
  bool operator==(const Topic&) const = default;
};

// Where the subscription of a function is that is the file's, or the operators'; or the end.
std::vector<Subscription>::iterator find_in(std::vector<Subscription>& all,
                                            std::string_view function, bool from_file);
// Takes the place of the one that this side has of the function, if it has one.
void set_in(std::vector<Subscription>& all, Subscription subscription);

std::string to_json(const Topic& topic);
Result<Topic> topic_from_json(std::string_view json);

// {"function", "filter", "filter_scope", "file"}.
nlohmann::ordered_json json_of(const Subscription& subscription);
// The same as it is asked for: a policy is JSON, or a text that is JSON. Whose it is, is not read.
Result<Subscription> read_subscription(const nlohmann::ordered_json& json);
// Whether the topic can have it: kReject names the field of the policy that is wrong.
Result<void> check_policy(const std::string& topic, const Subscription& subscription);

// The file's topics, as they are declared: {"topics": {NAME: {"subscriptions": […]}}}.
using Declared = std::map<std::string, std::vector<Subscription>>;
Result<Declared> read_declared(const nlohmann::ordered_json& body);

}  // namespace fanfare::broker
