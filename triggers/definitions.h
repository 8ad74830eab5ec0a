// triggers.toml: what outside the installation becomes events, and how.
//
//   [forms.contact]
//   origins = ["https://example.org"]
//
// The sample that `fanfare-triggers --sample-definitions` prints shows every key with its default,
// and is the manual.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "triggers/form_route.h"
#include "triggers/function_route.h"
#include "triggers/schedule.h"
#include "triggers/storage_bucket.h"
#include "triggers/topic_definition.h"
#include "triggers/webhook_route.h"

namespace fanfare::triggers {

struct Definitions {
  FormRoute::Forms forms;
  FunctionRoute::Urls urls;
  WebhookRoute::Webhooks webhooks;
  std::vector<Schedule> schedules;
  Topics topics;
  std::map<std::string, StorageBucketOptions> buckets;  // named by their keys
};

// kReject names file, line, column and key, and the nearest key that is known.
Result<Definitions> parse_definitions(std::string_view toml, std::string_view file);
Result<Definitions> read_definitions(const std::string& file);

// Parses to one form with the defaults.
std::string sample_definitions();

}  // namespace fanfare::triggers
