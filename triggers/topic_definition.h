// [topics.NAME] of triggers.toml: who publishes to it, and who subscribes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/filter_policy.h"

namespace fanfare::triggers {

struct SubscriptionDefinition {
  std::string function;
  std::string filter;  // JSON; empty: everything
  protocol::FilterScope scope = protocol::FilterScope::kAttributes;
};

struct TopicDefinition {
  std::string tenant;
  std::vector<SubscriptionDefinition> subscriptions;  // each function once
};

using Topics = std::map<std::string, TopicDefinition, std::less<>>;

// The value of `subscriptions` as JSON: an array of objects with function, filter (an object, or a
// text that is JSON) and filter_scope. An error is the reason only, with the object's number.
Result<void> read_subscriptions(std::string_view json, TopicDefinition& topic);

// What the broker is told: the body of its verb declare_topics. Without "*", which only stands for
// names.
std::string to_declaration(const Topics& topics);
// It travels in one frame. What the broker takes of it, with operators' topics, is less. An error
// is the reason only.
inline constexpr std::size_t kDeclarationBytesMax = 12u << 20;
Result<void> check_fits(const Topics& topics, std::size_t bytes_max = kDeclarationBytesMax);

}  // namespace fanfare::triggers
