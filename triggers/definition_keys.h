// The keys that each kind of definition in triggers.toml has, in the order of the sample.
#pragma once

#include <toml++/toml.h>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "triggers/form_route.h"
#include "triggers/function_route.h"
#include "triggers/storage_bucket.h"
#include "triggers/topic_definition.h"
#include "triggers/webhook_route.h"

namespace fanfare::triggers {

template <typename Definition>
struct DefinitionKey {
  const char* name;
  Result<void> (*read)(const toml::node& node, Definition& into);  // the error is the reason only
  const char* sample;                                              // the default, as TOML
  const char* doc;
};

// What a definition says before its secrets can be read as keys.
struct WebhookText {
  WebhookDefinition definition;
  std::vector<std::string> secrets;
};
// A schedule's definition as JSON, as it lies in Redis: that is judged whole.
using ScheduleText = nlohmann::ordered_json;

std::span<const DefinitionKey<FormDefinition>> form_keys();
std::span<const DefinitionKey<UrlDefinition>> url_keys();
std::span<const DefinitionKey<WebhookText>> webhook_keys();
std::span<const DefinitionKey<TopicDefinition>> topic_keys();
std::span<const DefinitionKey<ScheduleText>> schedule_keys();
std::span<const DefinitionKey<StorageBucketOptions>> bucket_keys();

}  // namespace fanfare::triggers
