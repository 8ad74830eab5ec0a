// Filter policies: which notifications of a topic a subscriber wants. The grammar is Amazon SNS's,
// that is the one of patterns (pattern.h), over another document:
//   attributes  the notification's attributes (notification_attributes.h). Their names are the
//               policy's, dots included; nothing lies within an attribute.
//               {"store": ["berlin"], "price": [{"numeric": [">=", 100]}]}
//   body        its data, if that is JSON. {"customer": {"country": ["de", "at"]}}
// A policy becomes a pattern over events, so that it is matched with all the others, in one go.
//
// Other than SNS: numbers are compared as numbers (300 is 3.0e2), and SNS's limits (five keys, 150
// combinations) are not ours: those of pattern.h hold.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::protocol {

enum class FilterScope { kAttributes, kBody };
std::string_view to_string(FilterScope scope);  // "attributes", "body"
Result<FilterScope> parse_filter_scope(std::string_view text);

inline constexpr std::size_t kFilterPolicyBytesMax = 16u << 10;

// The type of what is published to topics, and the source of those published to one.
inline constexpr std::string_view kNotificationType = "notification.published";
std::string source_of_topic(std::string_view topic);

// A pattern, as compile_pattern takes it, of what is published to the topic and is wanted. An empty
// policy, or {}, wants everything. kReject names the field of the policy that is wrong.
Result<std::string> subscription_pattern(std::string_view topic, std::string_view policy,
                                         FilterScope scope);

}  // namespace fanfare::protocol
