#include "protocol/filter_policy.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "protocol/event.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {
namespace {

using nlohmann::ordered_json;

// Of compile_pattern's messages, which speak of patterns.
Error about_the_policy(Error error) {
  constexpr std::string_view kPattern = "pattern";
  for (std::size_t at = 0; (at = error.message.find(kPattern, at)) != error.message.npos;) {
    error.message.replace(at, kPattern.size(), "filter policy");
    at += kPattern.size();
  }
  return error;
}

Result<void> check_flat(const ordered_json& policy) {
  for (const auto& [key, value] : policy.items()) {
    if (key == "$or" && value.is_array()) {
      for (const auto& one : value) {
        if (!one.is_object()) continue;
        if (auto flat = check_flat(one); !flat) return flat;
      }
    } else if (value.is_object()) {
      return reject(
          fmt::format("filter policy field '{}': attributes have no fields within them; a policy "
                      "over the data has the scope \"body\"",
                      key.substr(0, 256)));
    }
  }
  return {};
}

}  // namespace

std::string_view to_string(FilterScope scope) {
  return scope == FilterScope::kBody ? "body" : "attributes";
}

Result<FilterScope> parse_filter_scope(std::string_view text) {
  if (text == "attributes" || text == "MessageAttributes") return FilterScope::kAttributes;
  if (text == "body" || text == "MessageBody") return FilterScope::kBody;
  return reject("the scope of a filter policy is \"attributes\" or \"body\"");
}

std::string source_of_topic(std::string_view topic) {
  return fmt::format("/topics/{}", topic);
}

Result<std::string> subscription_pattern(std::string_view topic, std::string_view policy,
                                         FilterScope scope) {
  if (policy.size() > kFilterPolicyBytesMax) {
    return reject(fmt::format("the filter policy is over {} bytes", kFilterPolicyBytesMax));
  }
  ordered_json pattern{{"type", ordered_json::array({kNotificationType})},
                       {"source", ordered_json::array({source_of_topic(topic)})}};
  if (policy.empty()) return pattern.dump();
  if (!nests_within_bounds(policy)) return reject("the filter policy is nested too deep");
  ordered_json parsed = ordered_json::parse(policy, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return reject("the filter policy is not a JSON object");
  if (parsed.empty()) return pattern.dump();
  // By itself, so that what is wrong is named as the policy has it.
  if (auto fine = compile_document_pattern(policy); !fine) return about_the_policy(fine.error());
  if (scope == FilterScope::kAttributes) {
    if (auto flat = check_flat(parsed); !flat) return flat.error();
  }
  pattern[scope == FilterScope::kBody ? "data" : std::string{kNotificationAttributes}] =
      std::move(parsed);
  std::string text = pattern.dump();
  // Some bounds are reached only together.
  if (auto fine = compile_pattern(text); !fine) return about_the_policy(fine.error());
  return text;
}

}  // namespace fanfare::protocol
