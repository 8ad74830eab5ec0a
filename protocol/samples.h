// One example of everything that travels, for the tests: golden bytes, truncation, fuzz seeds.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "protocol/event.h"
#include "protocol/messages.h"
#include "protocol/record.h"

namespace fanfare::protocol::samples {

Event minimal_event();  // source, type and data only
Event nested_event();   // a function's, with which it invokes another
Event full_event();     // every attribute, two extensions, every option

AttemptRow failed_row();
AttemptRow ok_row();
ResultRecord succeeded_result();
ResultRecord failed_result();

// "publish" → a message of that kind, at least one for every kind; in the order of the kinds.
std::vector<std::pair<std::string, Message>> messages();

// "publish", "event_minimal", "result_failed", … → its bytes on the wire or in Redis.
std::vector<std::pair<std::string, std::string>> golden_bytes();

}  // namespace fanfare::protocol::samples
