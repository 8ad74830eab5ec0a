// A schedule's definition as JSON: what lies in Redis and what `fanfare schedule list --json`
// shows.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "triggers/schedule.h"

namespace fanfare::triggers {

// {"name":…,"expression":…,"zone":…,"since":…,"start":…,"end":…,"jitter":…,"missed":…,
//  "catch_up_max":…,"overlap":…,"enabled":…,"declared":…,"data":…,"content_type":…,"attributes":{…},
//  "tenant":…,"ordering_key":…}; instants are RFC 3339, jitter is a duration, data that is no UTF-8
// is `data_base64`. What has its default is left out, but for the first four.
std::string to_json(const Schedule& schedule);

// kReject, naming the member. Unknown members are refused: a later version may mean something.
Result<Schedule> schedule_from_json(std::string_view json);

}  // namespace fanfare::triggers
